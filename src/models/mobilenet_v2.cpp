// MobileNetV2 (Sandler et al. 2018, table 2) with torchvision's names, without the last 1x1 convolution: DeepLab reads
// the 320 channels before it.
#include <algorithm>

#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {
namespace {

// The nearest multiple that is not more than 10% below.
int64_t rounded(double channels, int64_t multiple) {
  const auto half_up = static_cast<int64_t>(channels + static_cast<double>(multiple) / 2);
  const int64_t nearest = std::max(multiple, half_up / multiple * multiple);
  return static_cast<double>(nearest) < 0.9 * channels ? nearest + multiple : nearest;
}

// Expand, depthwise, project; with a shortcut where the shape stays.
ValueId inverted_residual(Builder& b, const ModelOptions& options, ValueId x, const std::string& name,
                          int64_t expansion, int64_t out, int64_t wanted_stride, Atrous::Layer layer) {
  const int64_t in = b.at(x).shape.c, hidden = expansion == 1 ? in : rounded(static_cast<double>(in * expansion), 8);
  int part = 0;
  const auto part_name = [&] { return format("{}.conv.{}", name, part++); };
  ValueId y = x;
  if (expansion != 1) {
    const std::string expand = part_name();
    y = conv_norm(b, options, y, expand + ".0", expand + ".1", {hidden, 1, 1, 1, 1, Activation::relu6});
  }
  const std::string depthwise = part_name();
  y = conv_norm(b, options, y, depthwise + ".0", depthwise + ".1",
                {hidden, 3, layer.stride, layer.dilation, hidden, Activation::relu6});
  const std::string project = part_name();
  y = conv_norm(b, options, y, project, part_name(), {out, 1, 1, 1, 1, Activation::none});
  return wanted_stride == 1 && in == out ? b.add({x, y}, name + ".add") : y;
}

}  // namespace

Backbone mobilenet_v2(Builder& b, const ModelOptions& options, ValueId image, int64_t output_stride) {
  struct Stage {
    int64_t expansion, channels, blocks, stride;
  };
  constexpr Stage stages[]{{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                           {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  const auto channels = [&](int64_t count) {
    return rounded(static_cast<double>(count) * options.width, options.channel_multiple);
  };
  Atrous atrous(output_stride);
  ValueId x = conv_norm(b, options, image, "backbone.features.0.0", "backbone.features.0.1",
                        {channels(32), 3, atrous.layer(2).stride, 1, 1, Activation::relu6});
  Backbone maps;
  int number = 1;
  for (const Stage& stage : stages) {
    for (int64_t i = 0; i < stage.blocks; ++i) {
      const int64_t stride = i == 0 ? stage.stride : 1;
      x = inverted_residual(b, options, x, format("backbone.features.{}", number++), stage.expansion,
                            channels(stage.channels), stride, atrous.layer(stride));
    }
    if (stage.channels == 24) maps.low_level = x;
  }
  maps.map = x;
  return maps;
}

}  // namespace pixelwise
