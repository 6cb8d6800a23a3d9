// The configuration of an experiment: everything that decides what is trained, on what, and how. One struct, one table
// of fields (fields_of); parsing, ranges, messages, the JSON Schema and docs/config.md follow from the table.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/core/fields.hpp"
#include "pixelwise/data/augment.hpp"
#include "pixelwise/data/dataset.hpp"
#include "pixelwise/kernels/kernel.hpp"
#include "pixelwise/models/registry.hpp"
#include "pixelwise/nn/recompute.hpp"
#include "pixelwise/train/optimizer.hpp"
#include "pixelwise/train/trainer.hpp"

namespace pixelwise {

struct Config {
  struct Weights {
    std::optional<std::string> file;
    std::string load = "all";
  };
  struct Model {
    std::string name = "fcn8s_vgg16";
    int64_t classes = 21, in_channels = 3;
    ModelOptions options;
    Weights weights;
    Normalize normalize;
  };
  struct Data {
    std::string format = "voc", root = "data/VOCdevkit";
    std::string image_dir = "JPEGImages", mask_dir = "SegmentationClass", list_dir = "ImageSets/Segmentation";
    std::string train = "train", val = "val";
    std::optional<int64_t> first;
    std::optional<Size> resize, centre_crop;
    int64_t ignore_label = 255;
    NameOr<std::string> class_names{"voc", {}};
    std::string on_bad = "stop";
    double max_bad = 0.05;
    int64_t workers = 1;
    Size size{128, 128};
  };
  struct Augment {
    std::vector<double> scale{1, 1};
    Size crop{320, 320};
    double flip = 0.5, brightness = 0, contrast = 0, saturation = 0;
  };
  struct Loss {
    std::string targets = "one_hot", normalize = "mean";
    NameOr<double> class_weights;
    double label_smoothing = 0;
  };
  struct Train {
    int64_t batch_size = 4, accumulate = 1, epochs = 30;
    std::optional<int64_t> max_steps;
    int64_t validate_every_epochs = 1, checkpoint_every_steps = 200;
    std::string recompute = "none";
  };
  struct Eval {
    std::string protocol = "native";
    std::optional<Size> pad_to;
  };

  int64_t seed = 1;
  std::string precision = "fp32";
  Model model;
  Data data;
  Augment augment;
  Loss loss;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  Train train;
  Eval eval;
};

/// The keys of a configuration; they point into `config`, which must outlive them.
Fields fields_of(Config& config);

/// A configuration from a file (or the text of one), then each `key=value` of `settings`; checked as a whole. Throws
/// UsageError naming file and key.
Config load_config(const std::string& path, const std::vector<std::string>& settings = {});
Config parse_config_text(const std::string& text, const std::string& source,
                         const std::vector<std::string>& settings = {});
/// What the ranges of single keys cannot say: lists of the right length, a model that exists.
void check_config(const Config& config);

std::string config_json(const Config& config);  ///< all keys, as in the config.json of a run
std::string config_schema();                    ///< configs/schema.json
std::string config_table();                     ///< docs/config.md

// The configuration as the layers below want it.

ModelSpec model_spec(const Config& config);
Precision precision_of(const Config& config);
Recompute recompute_of(const Config& config);
AugmentOptions augment_options(const Config& config);
std::vector<std::string> class_names(const Config& config);  ///< one a class
/// "train" or "val".
std::unique_ptr<Dataset> open_dataset(const Config& config, const std::string& split);

}  // namespace pixelwise
