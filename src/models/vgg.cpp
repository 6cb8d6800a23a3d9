#include <array>

#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {

// Five stages of 3x3 convolutions, each followed by a 2x2 max pooling with stride 2. torchvision numbers the layers of
// its Sequential: convolution, (batch norm,) ReLU, ..., pooling; the parameters are called features.NUMBER.
std::vector<PooledMap> vgg16(Builder& builder, ValueId image, double width, bool batch_norm, int64_t first_pad,
                             double dropout) {
  struct Stage {
    int64_t convolutions, channels;
  };
  constexpr std::array<Stage, 5> stages{{{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}};
  std::vector<PooledMap> pools;
  ValueId x = image;
  int layer = 0;
  for (const Stage& stage : stages) {
    for (int64_t i = 0; i < stage.convolutions; ++i) {
      const int64_t pad = layer == 0 ? first_pad : 1;
      Conv2dSpec conv{scaled(stage.channels, width), {3, 3}};
      conv.pad = {pad, pad};
      x = builder.conv2d(x, format("backbone.features.{}", layer++), conv);
      if (batch_norm) x = builder.batch_norm(x, format("backbone.features.{}", layer++));
      x = builder.relu(x, format("backbone.features.{}", layer++));
    }
    pools.push_back(pool(builder, x, format("backbone.features.{}", layer++)));
    x = pools.back().map();
    if (pools.size() == 3 || pools.size() == 4)
      x = builder.dropout(x, format("backbone.drop{}", pools.size()), dropout);
  }
  return pools;
}

}  // namespace pixelwise
