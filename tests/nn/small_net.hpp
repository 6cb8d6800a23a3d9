// A network with one of everything that a training step needs, small enough for the definitions.
#pragma once
#include "pixelwise/core/rng.hpp"
#include "pixelwise/nn/builder.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/fuse.hpp"

namespace pixelwise {

struct SmallNet {
  Graph graph;
  ValueId image = no_value, labels = no_value, scores = no_value, loss = no_value;
};

struct SmallNetOptions {
  Phase phase = Phase::training;
  Shape image{2, 12, 10, 3};
  bool normalise = true, dropout = true;
  Type type = Type::f32;
  LossNormalization loss = LossNormalization::mean;
};

/// conv - batch norm - relu - pool - dropout - conv - transposed conv - loss over five classes.
inline SmallNet small_net(const SmallNetOptions& options = {}) {
  SmallNet net;
  Builder b(net.graph, options.phase, options.type);
  Shape ids = options.image;
  ids.c = 1;
  net.image = b.input("image", options.type, options.image);
  net.labels = b.input("labels", Type::u8, ids);
  ValueId x = b.conv2d(net.image, "conv1", {8, {3, 3}, {1, 1}, {1, 1}});
  if (options.normalise) x = b.batch_norm(x, "bn1");
  x = b.relu(x, "relu1");
  x = b.max_pool2d(x, "pool1", {}).map;
  if (options.dropout) x = b.dropout(x, "drop1", 0.5);
  x = b.conv2d(x, "score", {5, {1, 1}});
  net.scores = b.conv_transpose2d(x, "upsample", {5, {4, 4}, {2, 2}, {1, 1}});
  b.mark_external(net.scores);
  SoftmaxCrossEntropySpec spec;
  spec.normalize = options.loss;
  net.loss = b.softmax_cross_entropy(net.scores, net.labels, "loss", spec);
  fuse(net.graph);
  if (options.phase == Phase::training) differentiate(net.graph, net.loss);
  return net;
}

using Bytes = std::vector<std::byte>;

/// What a dense view holds.
inline Bytes bytes_of(const View& view) {
  const auto* data = view.as<std::byte>();
  return {data, data + view.shape.count() * size_of(view.type)};
}

/// Normal numbers into a map of floats or doubles.
inline void fill_normal(const View& view, uint64_t seed) {
  const Random random(seed, "test");
  for (int64_t i = 0; i < view.shape.count(); ++i) {
    const double value = random.normal(static_cast<uint64_t>(i));
    view.type == Type::f64 ? view.as<double>()[i] = value : view.as<float>()[i] = static_cast<float>(value);
  }
}

/// Class ids below `classes`, some void.
inline void fill_labels(const View& view, uint64_t seed, uint64_t classes = 5) {
  const Random random(seed, "labels");
  for (int64_t i = 0; i < view.shape.count(); ++i) {
    const uint64_t id = random.below(static_cast<uint64_t>(i), classes + 1);
    view.as<uint8_t>()[i] = static_cast<uint8_t>(id == classes ? 255 : id);
  }
}

}  // namespace pixelwise
