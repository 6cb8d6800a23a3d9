// Segmentation metrics from one confusion matrix over the whole set, as the PASCAL VOC devkit's VOCevalseg does.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/io/image.hpp"

namespace pixelwise {

struct Metrics;

class ConfusionMatrix {
 public:
  ConfusionMatrix(int64_t classes, int64_t ignore_label);
  /// Counts every pixel of truth that is not ignored; throws DataError (id, pixel) for a size mismatch, an id of the
  /// truth >= classes that is not ignored, or a predicted id >= classes.
  void add(const std::string& id, const Image& truth, const Image& prediction);
  void add(int64_t truth, int64_t prediction, int64_t pixels = 1);
  void merge(const ConfusionMatrix& other);

  int64_t classes() const { return classes_; }
  int64_t count(int64_t truth, int64_t prediction) const;
  int64_t images() const { return images_; }
  int64_t pixels() const;  ///< counted
  int64_t ignored_pixels() const { return ignored_; }

 private:
  int64_t classes_, ignore_label_;
  int64_t images_ = 0, ignored_ = 0;
  std::vector<int64_t> counts_;
  double iou_of_images_ = 0;  // the sum of mean_iou_present over the images that show a class
  int64_t images_with_truth_ = 0;
  friend Metrics metrics_of(const ConfusionMatrix& matrix);
};

/// n_ij pixels of class i predicted as j; t_i = sum_j n_ij (Long, Shelhamer, Darrell 2015, section 5).
struct Metrics {
  int64_t images = 0, pixels = 0, ignored_pixels = 0;
  double pixel_accuracy = 0;    ///< sum_i n_ii / sum_i t_i
  double mean_accuracy = 0;     ///< mean over classes in the ground truth of n_ii / t_i
  double mean_iou_voc = 0;      ///< over the classes with a non-empty union (the devkit's)
  double mean_iou_present = 0;  ///< over the classes in the ground truth
  double fw_iou = 0;            ///< sum_i t_i IoU_i / sum_i t_i
  /// mean_iou_present of each image by itself, averaged over the images that are not all void (Csurka, Larlus,
  /// Perronnin 2013, section 2.2: it sees small objects that one matrix over the set does not); 0 where no image was
  /// added as such.
  double mean_iou_per_image = 0;
  std::optional<double> mean_iou_foreground;         ///< over the classes in the ground truth but 0, the background
  std::vector<std::optional<double>> iou, accuracy;  ///< one a class; nothing where undefined
};
Metrics metrics_of(const ConfusionMatrix& matrix);

}  // namespace pixelwise
