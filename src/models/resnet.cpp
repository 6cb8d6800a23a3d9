// ResNet (He et al. 2016, table 1) with torchvision's names; it strides in the 3x3 convolution of a bottleneck
// ("v1.5").
#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {
namespace {

struct Kind {
  bool bottleneck;
  int64_t blocks[4];
};
constexpr Kind kind_of(int depth) {
  switch (depth) {
    case 10:
      return {false, {1, 1, 1, 1}};
    case 18:
      return {false, {2, 2, 2, 2}};
    case 34:
      return {false, {3, 4, 6, 3}};
    case 50:
      return {true, {3, 4, 6, 3}};
    default:
      return {true, {3, 4, 23, 3}};
  }
}

ValueId block(Builder& b, const ModelOptions& options, ValueId x, const std::string& name, bool bottleneck,
              int64_t channels, Atrous::Layer layer) {
  const int64_t out = bottleneck ? 4 * channels : channels, stride = layer.stride, dilation = layer.dilation;
  const Activation none = Activation::none;
  const auto unit = [&](ValueId from, int number, const ConvNorm& spec) {
    return conv_norm(b, options, from, format("{}.conv{}", name, number), format("{}.bn{}", name, number), spec);
  };
  ValueId y = no_value;
  if (bottleneck) {
    y = unit(x, 1, {channels});
    y = unit(y, 2, {channels, 3, stride, dilation});
    y = unit(y, 3, {out, 1, 1, 1, 1, none});
  } else {
    y = unit(x, 1, {channels, 3, stride, dilation});
    y = unit(y, 2, {channels, 3, 1, dilation, 1, none});
  }
  if (stride != 1 || b.at(x).shape.c != out)
    x = conv_norm(b, options, x, name + ".downsample.0", name + ".downsample.1", {out, 1, stride, 1, 1, none});
  return b.relu(b.add({y, x}, name + ".add"), name + ".relu");
}

}  // namespace

template <int Depth>
Backbone resnet(Builder& b, const ModelOptions& options, ValueId image, int64_t output_stride) {
  constexpr Kind kind = kind_of(Depth);
  Atrous atrous(output_stride);
  atrous.layer(4);  // conv1 and maxpool
  const auto channels = [&](int64_t count) { return scaled(count, options.width); };
  ValueId x = conv_norm(b, options, image, "backbone.conv1", "backbone.bn1", {channels(64), 7, 2});
  x = b.max_pool2d(x, "backbone.maxpool", {{3, 3}, {2, 2}, {1, 1}, false}).map;
  Backbone maps;
  for (int stage = 1; stage <= 4; ++stage) {
    for (int64_t i = 0; i < kind.blocks[stage - 1]; ++i) {
      const Atrous::Layer layer = atrous.layer(stage > 1 && i == 0 ? 2 : 1);
      x = block(b, options, x, format("backbone.layer{}.{}", stage, i), kind.bottleneck, channels(32 << stage), layer);
    }
    if (stage == 1) maps.low_level = x;
    if (stage == 3) maps.auxiliary = x;
  }
  maps.map = x;
  return maps;
}

template Backbone resnet<10>(Builder&, const ModelOptions&, ValueId, int64_t);
template Backbone resnet<18>(Builder&, const ModelOptions&, ValueId, int64_t);
template Backbone resnet<34>(Builder&, const ModelOptions&, ValueId, int64_t);
template Backbone resnet<50>(Builder&, const ModelOptions&, ValueId, int64_t);
template Backbone resnet<101>(Builder&, const ModelOptions&, ValueId, int64_t);

}  // namespace pixelwise
