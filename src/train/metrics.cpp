#include "pixelwise/train/metrics.hpp"

#include <algorithm>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

ConfusionMatrix::ConfusionMatrix(int64_t classes, int64_t ignore_label)
    : classes_(classes), ignore_label_(ignore_label) {
  if (classes < 1 || classes > 256) throw UsageError(format("{} classes: metrics take 1 to 256", classes));
  counts_.assign(static_cast<size_t>(classes * classes), 0);
}

void ConfusionMatrix::add(const std::string& id, const Image& truth, const Image& prediction) {
  if (truth.size() != prediction.size() || truth.channels != 1 || prediction.channels != 1)
    throw DataError(
        format("{}: the prediction is {} with {} channel(s), the mask {} with {}; both must be ids of one "
               "size: predict at the photo's own size",
               id, to_string(prediction.size()), prediction.channels, to_string(truth.size()), truth.channels));
  const auto fail = [&](const char* which, int64_t value, size_t i) {
    throw DataError(format("{}: the {} has id {} at pixel (row {}, column {}); wanted 0 to {}{}", id, which, value,
                           static_cast<int64_t>(i) / truth.width, static_cast<int64_t>(i) % truth.width, classes_ - 1,
                           which[0] == 'm' ? format(", or {} for void", ignore_label_) : ""));
  };
  for (size_t i = 0; i < truth.pixels.size(); ++i) {  // first all checks: a bad image leaves the counts as they are
    if (truth.pixels[i] >= classes_ && truth.pixels[i] != ignore_label_) fail("mask", truth.pixels[i], i);
    if (prediction.pixels[i] >= classes_) fail("prediction", prediction.pixels[i], i);
  }
  ConfusionMatrix image(classes_, ignore_label_);
  for (size_t i = 0; i < truth.pixels.size(); ++i) image.add(truth.pixels[i], prediction.pixels[i]);
  image.images_ = 1;
  if (image.pixels() > 0) image.images_with_truth_ = 1, image.iou_of_images_ = metrics_of(image).mean_iou_present;
  merge(image);
}

void ConfusionMatrix::add(int64_t truth, int64_t prediction, int64_t pixels) {
  if (truth == ignore_label_) {
    ignored_ += pixels;
    return;
  }
  if (truth < 0 || truth >= classes_ || prediction < 0 || prediction >= classes_)
    throw DataError(format("class {} predicted as {}: there are {} classes", truth, prediction, classes_));
  counts_[static_cast<size_t>(truth * classes_ + prediction)] += pixels;
}

void ConfusionMatrix::merge(const ConfusionMatrix& other) {
  if (other.classes_ != classes_)
    throw UsageError(format("confusion matrices of {} and {} classes cannot be merged", classes_, other.classes_));
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  images_ += other.images_;
  ignored_ += other.ignored_;
  iou_of_images_ += other.iou_of_images_;
  images_with_truth_ += other.images_with_truth_;
}

int64_t ConfusionMatrix::count(int64_t truth, int64_t prediction) const {
  return counts_.at(static_cast<size_t>(truth * classes_ + prediction));
}

int64_t ConfusionMatrix::pixels() const {
  int64_t sum = 0;
  for (const int64_t n : counts_) sum += n;
  return sum;
}

Metrics metrics_of(const ConfusionMatrix& matrix) {
  Metrics m;
  m.images = matrix.images();
  m.pixels = matrix.pixels();
  m.ignored_pixels = matrix.ignored_pixels();
  const double all = static_cast<double>(m.pixels);
  double voc = 0, present = 0, accuracy = 0;
  int64_t with_union = 0, with_truth = 0;
  for (int64_t i = 0; i < matrix.classes(); ++i) {
    int64_t truth = 0, predicted = 0;
    for (int64_t j = 0; j < matrix.classes(); ++j) truth += matrix.count(i, j), predicted += matrix.count(j, i);
    const double hit = static_cast<double>(matrix.count(i, i));
    const int64_t either = truth + predicted - matrix.count(i, i);  // the union
    m.iou.push_back(either ? std::optional(hit / static_cast<double>(either)) : std::nullopt);
    m.accuracy.push_back(truth ? std::optional(hit / static_cast<double>(truth)) : std::nullopt);
    if (either) voc += *m.iou.back(), ++with_union;
    if (!truth) continue;
    present += *m.iou.back(), accuracy += *m.accuracy.back(), ++with_truth;
    m.pixel_accuracy += hit / all;
    m.fw_iou += static_cast<double>(truth) / all * *m.iou.back();
  }
  const bool shows_first = m.accuracy[0].has_value();
  if (with_truth > shows_first)
    m.mean_iou_foreground =
        (present - (shows_first ? *m.iou[0] : 0)) / static_cast<double>(with_truth - int64_t{shows_first});
  if (matrix.images_with_truth_)
    m.mean_iou_per_image = matrix.iou_of_images_ / static_cast<double>(matrix.images_with_truth_);
  if (with_union) m.mean_iou_voc = voc / static_cast<double>(with_union);
  if (with_truth) m.mean_iou_present = present / static_cast<double>(with_truth);
  if (with_truth) m.mean_accuracy = accuracy / static_cast<double>(with_truth);
  return m;
}

}  // namespace pixelwise
