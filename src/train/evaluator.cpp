#include "pixelwise/train/evaluator.hpp"

#include <algorithm>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/train/signal.hpp"

namespace pixelwise {
namespace {

// The upper left part of a map of ids.
Image to_image(const View& ids, Size size) {
  if (ids.type != Type::u8 || ids.shape.c != 1 || ids.shape.h < size.h || ids.shape.w < size.w)
    throw UsageError(format("the prediction is {} {}; wanted u8 ids of at least {}", to_string(ids.type),
                            to_string(ids.shape), to_string(size)));
  Image image(size.h, size.w, 1);
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x) *image.at(y, x) = *ids.at<uint8_t>(0, y, x);
  }
  return image;
}

}  // namespace

Executor& ExecutorCache::at(const Shape& shape) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.shape == shape; });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
  } else {
    if (entries_.size() >= capacity_) entries_.pop_back();
    entries_.push_front({shape, make_(shape)});
  }
  return entries_.front().executor;
}

Executor& Evaluator::run(const Image& photo, const std::string& id) {
  if (photo.channels != options_.in_channels)
    throw DataError(format("{}: {} channels; the model takes {}", id, photo.channels, options_.in_channels));
  const Size size = options_.pad_to.value_or(photo.size());
  if (photo.height > size.h || photo.width > size.w)
    throw UsageError(format("{} is {}, larger than eval.pad_to {}: use at least the largest photo's size", id,
                            to_string(photo.size()), to_string(size)));
  Executor& executor = cache_.at({1, size.h, size.w, options_.in_channels});
  write_input(photo, options_.normalize, executor.view(options_.image), 0);
  executor.run();
  return executor;
}

Image Evaluator::predict(const Image& photo, const std::string& id) {
  return to_image(run(photo, id).view(options_.prediction), photo.size());
}

std::optional<ConfusionMatrix> Evaluator::evaluate(const Dataset& dataset, const OnPrediction& on_prediction,
                                                   const OnProgress& on_progress, std::optional<int64_t> limit) {
  ConfusionMatrix matrix(options_.classes, options_.ignore_label);
  const int64_t total = std::min(dataset.size(), limit.value_or(dataset.size()));
  for (int64_t i = 0; i < total; ++i) {
    if (stop_signal()) return std::nullopt;
    const Sample sample = dataset.read(i);
    const Executor& executor = run(sample.photo, sample.id);
    const Image prediction = to_image(executor.view(options_.prediction), sample.photo.size());
    matrix.add(sample.id, sample.mask, prediction);
    if (on_prediction) on_prediction(sample, prediction, executor);
    if (on_progress) on_progress(i + 1, total);
  }
  return matrix;
}

}  // namespace pixelwise
