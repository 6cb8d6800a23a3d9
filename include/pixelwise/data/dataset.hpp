// Datasets: photos and masks by index. Readers: PASCAL VOC devkit layout, lists of "image mask" pairs, built-in shapes.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "pixelwise/io/image.hpp"

namespace pixelwise {

/// A photo and its mask: ids {h, w, 1}, of the same size.
struct Sample {
  std::string id;  ///< as the list names it
  Image photo;
  Image mask;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual std::string id(int64_t index) const = 0;
  /// Decodes one sample; throws DataError naming file, pixel and value. Called from several threads.
  virtual Sample read(int64_t index) const = 0;
  /// Photo and mask; nothing where a sample is no file.
  virtual std::vector<std::string> files(int64_t) const { return {}; }
};

/// What a dataset is made of: config key `data`.
struct DataOptions {
  std::string format = "voc";  ///< voc, list or shapes
  std::string root;
  std::string image_dir = "JPEGImages", mask_dir = "SegmentationClass", list_dir = "ImageSets/Segmentation";
  std::string train = "train", val = "val";  ///< voc: list names; list: files; shapes: number of scenes
  int64_t ignore_label = 255;
  std::string class_names_preset;        ///< "voc", "camvid", "shapes" or empty
  std::vector<std::string> class_names;  ///< by name where there is no preset
  int64_t workers = 1;                   ///< loader threads
  Size shapes_size{128, 128};            ///< shapes only
  bool missing_files = false;            ///< a list may name some: to read such a sample throws, not to open the list
};

/// split: "train" or "val". Checks every id of a mask against `classes` when it is read.
std::unique_ptr<Dataset> open_dataset(const DataOptions& options, const std::string& split, int64_t classes,
                                      int64_t channels, uint64_t seed);

/// The first `count` samples of a dataset.
std::unique_ptr<Dataset> first_samples(std::unique_ptr<Dataset> all, int64_t count);
/// All samples but those of `indices`, which are sorted.
std::unique_ptr<Dataset> without_samples(std::unique_ptr<Dataset> all, const std::vector<int64_t>& indices);
/// Every photo and mask resized (resize_photo, resize_mask).
std::unique_ptr<Dataset> resized(std::unique_ptr<Dataset> all, Size size);
/// The middle of every photo and mask; a photo that is smaller stays as it is.
std::unique_ptr<Dataset> centre_crops(std::unique_ptr<Dataset> all, Size size);

/// The names of a preset ("voc": 21, "camvid": 11, "shapes"); throws UsageError for another.
std::vector<std::string> preset_class_names(const std::string& preset);
/// VOC's colours: bits of the id spread over R, G, B (devkit, VOClabelcolormap); 256 entries, 255 is 224, 224, 192.
std::vector<Colour> voc_palette();

}  // namespace pixelwise
