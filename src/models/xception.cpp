// Xception-65 as DeepLab modifies it (Chen et al. 2018, figure 4): more layers, max pooling replaced by separable
// convolutions with stride, batch norm after every 3x3 depthwise convolution.
#include <array>

#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {
namespace {

constexpr double eps = 1e-3;

enum class Shortcut { convolution, identity, none };

struct Module {
  std::array<int64_t, 3> channels;
  Shortcut shortcut = Shortcut::identity;
  int64_t stride = 1;
};

struct ModuleMaps {
  ValueId out = no_value, second = no_value;  ///< second: of the second separable convolution, before the stride
};

// Three separable convolutions. ReLU stands before each of them, but in the last module (without a shortcut) after
// both its convolutions.
ModuleMaps module(Builder& b, const ModelOptions& options, ValueId x, const std::string& name, const Module& m,
                  Atrous::Layer layer) {
  const Activation inside = m.shortcut == Shortcut::none ? Activation::relu : Activation::none;
  ModuleMaps result;
  ValueId y = x;
  for (size_t i = 0; i < 3; ++i) {
    const std::string part = format("{}.sepconv{}", name, i + 1);
    if (inside == Activation::none) y = b.relu(y, part + ".relu");
    const int64_t in = b.at(y).shape.c, stride = i == 2 ? layer.stride : 1;
    y = conv_norm(b, options, y, part + ".depthwise", part + ".depthwise_bn",
                  {in, 3, stride, layer.dilation, in, inside, eps});
    y = conv_norm(b, options, y, part + ".pointwise", part + ".pointwise_bn",
                  {scaled(m.channels[i], options.width), 1, 1, 1, 1, inside, eps});
    if (i == 1) result.second = y;
  }
  if (m.shortcut == Shortcut::convolution)
    x = conv_norm(b, options, x, name + ".shortcut", name + ".shortcut_bn",
                  {b.at(y).shape.c, 1, layer.stride, 1, 1, Activation::none, eps});
  result.out = m.shortcut == Shortcut::none ? y : b.add({y, x}, name + ".add");
  return result;
}

}  // namespace

Backbone xception65(Builder& b, const ModelOptions& options, ValueId image, int64_t output_stride) {
  const auto conv = Shortcut::convolution;
  std::vector<Module> modules{{{128, 128, 128}, conv, 2}, {{256, 256, 256}, conv, 2}, {{728, 728, 728}, conv, 2}};
  modules.insert(modules.end(), 16, {{728, 728, 728}});
  modules.push_back({{728, 1024, 1024}, conv, 2});
  modules.push_back({{1536, 1536, 2048}, Shortcut::none, 1});

  Atrous atrous(output_stride);
  const auto stem = [&](ValueId x, const std::string& name, int64_t channels, int64_t stride) {
    return conv_norm(b, options, x, name, name + "_bn",
                     {scaled(channels, options.width), 3, atrous.layer(stride).stride, 1, 1, Activation::relu, eps});
  };
  ValueId x = stem(stem(image, "backbone.conv1", 32, 2), "backbone.conv2", 64, 1);
  Backbone maps;
  for (size_t i = 0; i < modules.size(); ++i) {
    const ModuleMaps made =
        module(b, options, x, format("backbone.block{}", i + 1), modules[i], atrous.layer(modules[i].stride));
    if (i == 1) maps.low_level = made.second;
    x = made.out;
  }
  maps.map = x;
  return maps;
}

}  // namespace pixelwise
