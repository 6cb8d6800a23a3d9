// The models by name. A model is one function that appends its nodes to a Builder, written once for training and
// inference; a new model is one file and one line here.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/nn/builder.hpp"

namespace pixelwise {

/// Config key `model.options`. A model takes the ones it lists (ModelEntry::options); others are an error.
struct ModelOptions {
  std::string padding = "same";        ///< fcn: same or published (pad 100)
  double dropout = 0.5;                ///< of fc6 and fc7; 0: none
  double width = 1;                    ///< factor on the channels of the backbone
  std::optional<int64_t> fc_channels;  ///< of fc6 and fc7; default 4096 * width
  std::string upsampling = "learned";  ///< fcn: learned or fixed; both start bilinear
  bool at_once = false;                ///< fcn: scale the pools of the skips by 0.0001 and 0.01 (all-at-once FCN-8s)
};

struct ModelSpec {
  std::string name;
  int64_t classes = 21;
  int64_t in_channels = 3;
  ModelOptions options;
};

/// Full-size maps of scores, before any softmax, at the input's size.
struct ModelOutputs {
  ValueId scores = no_value;
  ValueId auxiliary = no_value;  ///< of an auxiliary head, training only
};

struct ModelEntry {
  std::string name;
  std::string paper;
  std::vector<std::string> options;  ///< keys of ModelOptions that it takes
  ModelOutputs (*build)(Builder&, const ModelSpec&, ValueId image);
};

const std::vector<ModelEntry>& model_registry();
/// Throws UsageError with the nearest name, and all of them, where there is none.
const ModelEntry& find_model(const std::string& name);
ModelOutputs build_model(Builder& builder, const ModelSpec& spec, ValueId image);

}  // namespace pixelwise
