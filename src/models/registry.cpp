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
  add(o.fc_channels != d.fc_channels, "fc_channels");
  add(o.upsampling != d.upsampling, "upsampling");
  add(o.at_once != d.at_once, "at_once");
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

}  // namespace pixelwise
