#include <algorithm>
#include <array>
#include <cmath>

#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {

int64_t scaled(int64_t channels, double width) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(channels) * width));
}

// Five stages of 3x3 convolutions, each followed by a 2x2 max pooling with stride 2. torchvision numbers the layers of
// its Sequential: convolution, (batch norm,) ReLU, ..., pooling; the parameters are called features.NUMBER.
VggMaps vgg16(Builder& builder, ValueId image, double width, bool batch_norm, int64_t first_pad) {
  struct Stage {
    int64_t convolutions, channels;
  };
  constexpr std::array<Stage, 5> stages{{{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}};
  std::array<ValueId, 5> pools{};
  ValueId x = image;
  int layer = 0;
  for (size_t s = 0; s < stages.size(); ++s) {
    for (int64_t i = 0; i < stages[s].convolutions; ++i) {
      const int64_t pad = layer == 0 ? first_pad : 1;
      Conv2dSpec conv{scaled(stages[s].channels, width), {3, 3}};
      conv.pad = {pad, pad};
      x = builder.conv2d(x, format("backbone.features.{}", layer++), conv);
      if (batch_norm) x = builder.batch_norm(x, format("backbone.features.{}", layer++));
      x = builder.relu(x, format("backbone.features.{}", layer++));
    }
    // ceil: as Caffe pools, so that no row is lost where the size is odd
    x = builder.max_pool2d(x, format("backbone.features.{}", layer++), {{2, 2}, {2, 2}, {0, 0}, true}).map;
    pools[s] = x;
  }
  return {pools[2], pools[3], pools[4]};
}

}  // namespace pixelwise
