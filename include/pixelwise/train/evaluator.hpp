// Evaluation of a model over a dataset, every photo at its own size.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "pixelwise/data/augment.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/train/metrics.hpp"

namespace pixelwise {

/// Builds the inference graph for an input {1, H, W, C}, with the external values `image` and `prediction` ({1, H, W,
/// 1} u8: argmax), in an arena that all of them share.
using MakeExecutor = std::function<Executor(const Shape&)>;

/// The executors of the last few input sizes: photos of a set come in few sizes, and planning takes milliseconds.
class ExecutorCache {
 public:
  explicit ExecutorCache(MakeExecutor make, size_t capacity = 4) : make_(std::move(make)), capacity_(capacity) {}
  Executor& at(const Shape& shape);

 private:
  struct Entry {
    Shape shape;
    Executor executor;
  };
  MakeExecutor make_;
  size_t capacity_;
  std::list<Entry> entries_;  // the last used first
};

struct EvaluatorOptions {
  int64_t classes = 0;
  int64_t in_channels = 3;
  int64_t ignore_label = 255;
  Normalize normalize;
  /// Nothing: the protocol `native`. Else photos are padded right and below, with the mean, to this size, and the
  /// prediction is cropped; a larger photo is an error.
  std::optional<Size> pad_to;
  std::string image = "image", prediction = "prediction";
};

/// After each photo: the executor still holds its external values (scores, say).
using OnPrediction = std::function<void(const Sample& sample, const Image& prediction, const Executor& executor)>;
using OnProgress = std::function<void(int64_t done, int64_t total)>;  ///< done counts from 1

class Evaluator {
 public:
  Evaluator(const EvaluatorOptions& options, MakeExecutor make) : options_(options), cache_(std::move(make)) {}

  /// Class ids of a photo, of the photo's size. Errors name the photo by `id`.
  Image predict(const Image& photo, const std::string& id);
  /// Every sample of a dataset, or the first `limit`. Nothing where a stop signal ended it early (signal.hpp): the
  /// numbers of a part are not those of the whole.
  std::optional<ConfusionMatrix> evaluate(const Dataset& dataset, const OnPrediction& on_prediction = {},
                                          const OnProgress& on_progress = {}, std::optional<int64_t> limit = {});

 private:
  Executor& run(const Image& photo, const std::string& id);

  EvaluatorOptions options_;
  ExecutorCache cache_;
};

}  // namespace pixelwise
