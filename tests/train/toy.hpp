// A task small enough for a test: find the bright squares; and a network that can learn it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "pixelwise/core/rng.hpp"
#include "pixelwise/data/loader.hpp"
#include "pixelwise/nn/builder.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/train/trainer.hpp"

namespace pixelwise {

/// Grey noise with a square of brighter noise: class 1, with a void pixel in its corner.
class ToyDataset : public Dataset {
 public:
  explicit ToyDataset(std::vector<Size> sizes) : sizes_(std::move(sizes)) {}
  int64_t size() const override { return static_cast<int64_t>(sizes_.size()); }
  std::string id(int64_t index) const override { return "toy" + std::to_string(index); }
  Sample read(int64_t index) const override {
    const Size size = sizes_.at(static_cast<size_t>(index));
    Sample sample{id(index), Image(size.h, size.w, 3), Image(size.h, size.w, 1)};
    Random random(11, "toy", 0, 0, static_cast<uint64_t>(index));
    const int64_t side = 3 + static_cast<int64_t>(random.next_below(4));
    const int64_t top = static_cast<int64_t>(random.next_below(static_cast<uint64_t>(size.h - side)));
    const int64_t left = static_cast<int64_t>(random.next_below(static_cast<uint64_t>(size.w - side)));
    for (int64_t y = 0; y < size.h; ++y) {
      for (int64_t x = 0; x < size.w; ++x) {
        const bool inside = y >= top && y < top + side && x >= left && x < left + side;
        for (int64_t c = 0; c < 3; ++c)
          sample.photo.at(y, x)[c] = static_cast<uint8_t>((inside ? 130 : 50) + random.next_below(60));
        *sample.mask.at(y, x) = inside;
      }
    }
    *sample.mask.at(top, left) = 255;
    return sample;
  }

 private:
  std::vector<Size> sizes_;
};

struct ToyOptions {
  int64_t batch = 4, accumulate = 1, total_steps = 12;
  double dropout = 0.25;
  bool batch_norm = true;
  std::string optimizer = "sgd";
  double lr = 0.1;
};

/// conv 3x3, batch norm, ReLU, dropout, conv 1x1.
inline ValueId toy_model(Builder& b, ValueId image, const ToyOptions& options) {
  Conv2dSpec wide;
  wide.out_channels = 8, wide.kernel = {3, 3}, wide.pad = {1, 1}, wide.bias = !options.batch_norm;
  ValueId x = b.conv2d(image, "backbone.conv", wide);
  if (options.batch_norm) x = b.batch_norm(x, "backbone.bn");
  x = b.relu(x, "backbone.relu");
  x = b.dropout(x, "drop", options.dropout);
  Conv2dSpec score;
  score.out_channels = 2;
  return b.conv2d(x, "classifier.score", score);
}

inline Graph toy_training_graph(const ToyOptions& options) {
  Graph graph;
  Builder b(graph, Phase::training);
  const ValueId image = b.input("image", Type::f32, {options.batch, 12, 12, 3});
  const ValueId labels = b.input("labels", Type::u8, {options.batch, 12, 12, 1});
  const ValueId denominator = b.input("denominator", Type::f32, {1, 1, 1, 1});
  SoftmaxCrossEntropySpec spec;
  spec.shared_denominator = true;
  differentiate(graph, b.softmax_cross_entropy(toy_model(b, image, options), labels, "loss", spec, denominator));
  return graph;
}

inline Graph toy_inference_graph(const Shape& shape, const ToyOptions& options) {
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId scores = toy_model(b, b.input("image", Type::f32, shape), options);
  b.mark_external(b.argmax(scores, "prediction"));
  return graph;
}

/// Everything that a training consists of, from `first_step` on.
struct Toy {
  ToyOptions options;
  ToyDataset data{std::vector<Size>(18, {12, 12})};
  Parameters parameters;
  std::shared_ptr<Arena> arena = std::make_shared<Arena>();
  std::unique_ptr<Executor> executor;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Trainer> trainer;

  explicit Toy(const ToyOptions& o) : options(o) {
    Graph graph = toy_training_graph(o);
    parameters.ensure(graph, 1);
    executor = std::make_unique<Executor>(std::move(graph), parameters, arena);
    OptimizerOptions settings;
    settings.name = o.optimizer;
    optimizer = std::make_unique<Optimizer>(settings, trained_parameters(executor->graph(), parameters));
  }
  Trainer& start(int64_t first_step = 0) {
    LoaderOptions loading;
    loading.batch_size = options.batch;
    loading.augment.flip = 0.5;
    loader = std::make_unique<Loader>(data, loading, first_step * options.accumulate);
    TrainerOptions training;
    training.lr = options.lr;
    training.schedule.warmup_steps = 3;
    training.total_steps = options.total_steps, training.accumulate = options.accumulate, training.classes = 2;
    trainer = std::make_unique<Trainer>(*executor, parameters, *loader, *optimizer, training, first_step);
    return *trainer;
  }
  /// All parameters, states and optimiser states, one after the other.
  std::vector<std::byte> bytes() {
    std::vector<Parameter*> list = parameters.all();
    for (Parameter* state : optimizer->states()) list.push_back(state);
    std::vector<std::byte> all;
    for (const Parameter* p : list) all.insert(all.end(), p->memory.data(), p->memory.data() + p->memory.bytes());
    return all;
  }
};

}  // namespace pixelwise
