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
  std::optional<double> dropout;       ///< default: the published (fcn on VGG16, SegNet, ASPP 0.5; v3+, fcn heads 0.1)
  double width = 1;                    ///< factor on the channels of the backbone
  int64_t channel_multiple = 8;        ///< mobilenet_v2: channels are a multiple of it; 1 in Google's narrow DeepLabs
  std::optional<int64_t> fc_channels;  ///< of fc6 and fc7; default 4096 * width
  std::string upsampling = "learned";  ///< fcn: learned or fixed; both start bilinear
  bool at_once = false;                ///< fcn: scale the pools of the skips by 0.0001 and 0.01 (all-at-once FCN-8s)
  bool bayesian = false;               ///< segnet: dropout around the centre
  std::optional<int64_t> output_stride;       ///< 8, 16 or 32, of the backbone; default: the published
  std::optional<std::vector<int64_t>> rates;  ///< of ASPP's atrous branches; default 6, 12, 18, doubled at stride 8
  int64_t head_channels = 256;                ///< of ASPP and the v3+ decoder
  bool separable = false;                     ///< depthwise-separable 3x3 convolutions in ASPP and decoder
  std::string image_pooling = "batch";        ///< of ASPP: batch, running, unnormalised or none
  bool batch_norm = true;                     ///< false: convolutions have a bias instead (it was folded into them)
  bool head_conv = true;                      ///< deeplabv3: 3x3 before the scores, as torchvision; Google's have none
  bool auxiliary = false;                     ///< torchvision's auxiliary head, in training
  bool align_corners = false;                 ///< of the bilinear resizing
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
/// The parameters whose shape depends on the number of classes.
std::vector<std::string> classifier_of(const ModelSpec& spec);

}  // namespace pixelwise
