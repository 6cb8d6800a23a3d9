#include "pixelwise/models/registry.hpp"

#include <algorithm>

#include "core/format.hpp"
#include "models/models.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/fields.hpp"

namespace pixelwise {
namespace {

const std::vector<std::string> fcn_options{"padding", "dropout", "width", "fc_channels", "upsampling", "at_once"};
constexpr const char* fcn_paper =
    "Long, Shelhamer, Darrell 2015, Fully convolutional networks for semantic segmentation";

const std::vector<std::string> segnet_options{"width", "bayesian", "dropout"};
constexpr const char* segnet_paper = "Badrinarayanan, Kendall, Cipolla 2017, SegNet";
const std::vector<std::string> fcn_head_options{"width", "output_stride", "dropout", "align_corners", "batch_norm"};
const std::vector<std::string> v3plus_options{"width", "output_stride", "dropout",   "align_corners", "batch_norm",
                                              "rates", "head_channels", "separable", "image_pooling"};
constexpr const char* v3_paper = "Chen et al. 2017, Rethinking atrous convolution for semantic image segmentation";
constexpr const char* v3plus_paper = "Chen et al. 2018, Encoder-decoder with atrous separable convolution";

using Names = std::vector<std::string>;

Names with(Names options, const Names& more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}
// What a backbone takes besides.
const Names resnet_option{"auxiliary"}, mobilenet_option{"channel_multiple"};
const Names v3_options = with(v3plus_options, {"head_conv"});

template <MakeBackbone backbone>
ModelOutputs fcn_on(Builder& builder, const ModelSpec& spec, ValueId image) {
  return fcn(builder, spec, image, backbone);
}
template <MakeBackbone backbone, int64_t output_stride>
ModelOutputs deeplabv3_on(Builder& builder, const ModelSpec& spec, ValueId image) {
  return deeplabv3(builder, spec, image, backbone, output_stride);
}
template <MakeBackbone backbone>
ModelOutputs deeplabv3plus_on(Builder& builder, const ModelSpec& spec, ValueId image) {
  return deeplabv3plus(builder, spec, image, backbone);
}

// The options that differ from their defaults.
std::vector<std::string> given_options(const ModelOptions& o) {
  const ModelOptions d;
  std::vector<std::string> given;
  const auto add = [&](bool differs, const char* name) {
    if (differs) given.push_back(name);
  };
  add(o.padding != d.padding, "padding");
  add(o.dropout != d.dropout, "dropout");
  add(o.width != d.width, "width");
  add(o.channel_multiple != d.channel_multiple, "channel_multiple");
  add(o.fc_channels != d.fc_channels, "fc_channels");
  add(o.upsampling != d.upsampling, "upsampling");
  add(o.at_once != d.at_once, "at_once");
  add(o.bayesian != d.bayesian, "bayesian");
  add(o.output_stride != d.output_stride, "output_stride");
  add(o.rates != d.rates, "rates");
  add(o.head_channels != d.head_channels, "head_channels");
  add(o.separable != d.separable, "separable");
  add(o.image_pooling != d.image_pooling, "image_pooling");
  add(o.batch_norm != d.batch_norm, "batch_norm");
  add(o.head_conv != d.head_conv, "head_conv");
  add(o.auxiliary != d.auxiliary, "auxiliary");
  add(o.align_corners != d.align_corners, "align_corners");
  return given;
}

}  // namespace

const std::vector<ModelEntry>& model_registry() {
  static const std::vector<ModelEntry> entries{
      {"fcn32s_vgg16", fcn_paper, fcn_options, fcn_vgg16<32, false>},
      {"fcn16s_vgg16", fcn_paper, fcn_options, fcn_vgg16<16, false>},
      {"fcn8s_vgg16", fcn_paper, fcn_options, fcn_vgg16<8, false>},
      {"fcn32s_vgg16_bn", fcn_paper, fcn_options, fcn_vgg16<32, true>},
      {"fcn16s_vgg16_bn", fcn_paper, fcn_options, fcn_vgg16<16, true>},
      {"fcn8s_vgg16_bn", fcn_paper, fcn_options, fcn_vgg16<8, true>},
      {"segnet", segnet_paper, segnet_options, segnet},
      {"segnet_basic", segnet_paper, segnet_options, segnet_basic},
      {"fcn_resnet18", fcn_paper, with(fcn_head_options, resnet_option), fcn_on<resnet<18>>},
      {"fcn_resnet34", fcn_paper, with(fcn_head_options, resnet_option), fcn_on<resnet<34>>},
      {"fcn_resnet50", fcn_paper, with(fcn_head_options, resnet_option), fcn_on<resnet<50>>},
      {"fcn_resnet101", fcn_paper, with(fcn_head_options, resnet_option), fcn_on<resnet<101>>},
      {"fcn_mobilenet_v2", fcn_paper, with(fcn_head_options, mobilenet_option), fcn_on<mobilenet_v2>},
      {"fcn_xception65", fcn_paper, fcn_head_options, fcn_on<xception65>},
      {"deeplabv3_resnet50", v3_paper, with(v3_options, resnet_option), deeplabv3_on<resnet<50>, 8>},
      {"deeplabv3_resnet101", v3_paper, with(v3_options, resnet_option), deeplabv3_on<resnet<101>, 8>},
      {"deeplabv3_mobilenet_v2", v3_paper, with(v3_options, mobilenet_option), deeplabv3_on<mobilenet_v2, 16>},
      {"deeplabv3plus_resnet10", v3plus_paper, with(v3plus_options, resnet_option), deeplabv3plus_on<resnet<10>>},
      {"deeplabv3plus_resnet50", v3plus_paper, with(v3plus_options, resnet_option), deeplabv3plus_on<resnet<50>>},
      {"deeplabv3plus_mobilenet_v2", v3plus_paper, with(v3plus_options, mobilenet_option),
       deeplabv3plus_on<mobilenet_v2>},
      {"deeplabv3plus_xception65", v3plus_paper, v3plus_options, deeplabv3plus_on<xception65>},
      {"tiny_fcn", "for lessons and tests", {"width"}, tiny_fcn},
      {"pixelwise_1x1", "for lessons and tests: no context", {"width"}, pointwise_network},
  };
  return entries;
}

const ModelEntry& find_model(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelEntry& entry : model_registry()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  const std::string near = nearest(name, names);
  throw UsageError(format("there is no model '{}'{}; models: {}", name,
                          near.empty() ? "" : format(": did you mean '{}'?", near), fmt::join(names, ", ")));
}

ModelOutputs build_model(Builder& builder, const ModelSpec& spec, ValueId image) {
  const ModelEntry& entry = find_model(spec.name);
  for (const std::string& option : given_options(spec.options)) {
    if (std::find(entry.options.begin(), entry.options.end(), option) == entry.options.end())
      throw UsageError(format("key 'model.options.{}': the model '{}' does not take it; it takes {}", option, spec.name,
                              fmt::join(entry.options, ", ")));
  }
  return entry.build(builder, spec, image);
}

std::vector<std::string> classifier_of(const ModelSpec& spec) {
  const auto parameters_of = [&](int64_t classes) {
    Graph graph;
    Builder builder(graph, Phase::training);
    ModelSpec other = spec;
    other.classes = classes;
    constexpr int64_t any = 64;  // the shapes of parameters do not depend on the photo's size
    build_model(builder, other, builder.input("image", builder.type(), {2, any, any, spec.in_channels}));
    std::erase_if(graph.values, [](const Value& value) { return value.storage == Storage::arena; });
    return graph.values;
  };
  const std::vector<Value> given = parameters_of(spec.classes), more = parameters_of(spec.classes + 1);
  std::vector<std::string> names;
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i].shape != more[i].shape) names.push_back(given[i].name);
  }
  return names;
}

}  // namespace pixelwise
