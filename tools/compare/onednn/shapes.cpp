#include "shapes.hpp"

#include <algorithm>

#include "pixelwise/models/registry.hpp"

using namespace pixelwise;

namespace {

constexpr int64_t classes = 21;

template <class Spec>
std::string name_of(const Spec& spec, const Shape& src) {
  std::string name = std::to_string(src.c);
  name.append("->").append(std::to_string(spec.out_channels)).append(",").append(to_string(spec.kernel));
  if (spec.stride != Size{1, 1}) name.append(",stride").append(std::to_string(spec.stride.h));
  if (spec.dilation != Size{1, 1}) name.append(",rate").append(std::to_string(spec.dilation.h));
  name.append(",").append(to_string(src.size()));
  if (spec.groups > 1) name += ",depthwise";
  if (std::is_same_v<Spec, ConvTranspose2dSpec>) name += ",transposed";
  return name;
}

// Without its bias, activation and whatever else is fused: the convolution alone.
template <class Spec>
Layer layer_of(Spec spec, const Graph& graph, const Node& node, ValueId image) {
  spec.bias = false;
  const Shape& src = graph.at(node.src[0].value).shape;
  return {{name_of(spec, src), spec, {{Type::f32, src}}, Activation::none, true}, node.src[0].value == image};
}

Size photo_of(const std::string& model) {
  if (model == "segnet") return {360, 480};
  return model == "fcn8s_vgg16" ? Size{375, 500} : Size{513, 513};
}

}  // namespace

std::vector<std::string> compared_models() {
  return {"segnet",      "fcn8s_vgg16", "deeplabv3plus_mobilenet_v2", "deeplabv3plus_resnet50", "deeplabv3_resnet50",
          "fcn_resnet50"};
}

std::vector<Layer> layers_of(const std::string& model, int64_t batch) {
  const Size size = photo_of(model);
  Graph graph;
  Builder builder(graph, Phase::inference);
  const ValueId image = builder.input("image", Type::f32, {batch, size.h, size.w, 3});
  build_model(builder, {model, classes, 3, {}}, image);
  std::vector<Layer> layers;
  for (const Node& node : graph.nodes) {
    Layer layer;
    if (const auto* conv = std::get_if<Conv2dSpec>(&node.spec)) layer = layer_of(*conv, graph, node, image);
    if (const auto* conv = std::get_if<ConvTranspose2dSpec>(&node.spec)) layer = layer_of(*conv, graph, node, image);
    const auto same = [&](const Layer& other) { return other.one.name == layer.one.name; };
    if (!layer.one.name.empty() && std::none_of(layers.begin(), layers.end(), same)) layers.push_back(layer);
  }
  return layers;
}
