#include "app/monitor.hpp"

#include <cmath>

#include "core/format.hpp"

namespace pixelwise {
namespace {

constexpr int64_t first_step = 100, last_step = 200;  // the loss is averaged in between
constexpr double near_guessing = 0.02;                // of ln(classes)
constexpr double nearly_all = 0.999;                  // of the predicted pixels
constexpr double auxiliary_weight = 0.5;              // of the auxiliary head's loss

}  // namespace

std::string Monitor::after_step(const StepReport& report) {
  if (const std::string warning = loss_warning(report.loss); !warning.empty()) return warning;
  if (report.labelled_pixels > 0 || void_steps_++ > 0) return {};
  std::string samples;
  for (const std::string& name : report.names) samples += (samples.empty() ? "" : ", ") + name;
  return format(
      "step {}: all pixels of its samples ({}) are void: its loss is zero. Look at their masks, or take larger "
      "crops; further ones are counted",
      report.step, samples);
}

// Scores that know nothing give every class 1 / classes: the mean of -ln(1 / classes), with class weights too.
std::string Monitor::loss_warning(double loss) {
  if (config_.loss.normalize != "mean" || config_.model.classes < 2 || ++steps_ > last_step) return {};
  if (steps_ > first_step) loss_sum_ += loss;
  if (steps_ < last_step) return {};
  const double heads = config_.model.options.auxiliary ? 1 + auxiliary_weight : 1;
  const double mean = loss_sum_ / (last_step - first_step);
  const double guessing = heads * std::log(static_cast<double>(config_.model.classes));
  if (std::abs(mean - guessing) > near_guessing * guessing) return {};
  return format(
      "after {} steps the loss is {:.4f} on average, no better than guessing (ln({}){} = {:.4f}): nothing is "
      "learned. Is optimizer.lr ({:.3g}) too small or far too large, model.normalize that of the weights, do "
      "masks belong to their photos?",
      last_step, mean, config_.model.classes, heads > 1 ? " x 1.5" : "", guessing, config_.optimizer.lr);
}

std::string Monitor::after_validation(const ConfusionMatrix& matrix, bool last) {
  const int64_t pixels = matrix.pixels();
  int64_t most = 0, most_predicted = -1, truth_of_most = 0;
  for (int64_t c = 0; c < matrix.classes(); ++c) {
    int64_t predicted = 0, truth = 0;
    for (int64_t other = 0; other < matrix.classes(); ++other)
      predicted += matrix.count(other, c), truth += matrix.count(c, other);
    if (predicted > most_predicted) most = c, most_predicted = predicted, truth_of_most = truth;
  }
  const auto share = [&](int64_t count) { return static_cast<double>(count) / static_cast<double>(pixels); };
  // Where the truth is nearly all of that class too, there is little else to predict.
  const bool collapsed = pixels > 0 && share(most_predicted) >= nearly_all && share(truth_of_most) < 0.99;
  collapsed_validations_ = collapsed ? collapsed_validations_ + 1 : 0;
  if (collapse_said_ || !collapsed || (collapsed_validations_ < 2 && !last)) return {};
  collapse_said_ = true;
  return format(
      "{:.2f}% of the validation's pixels are predicted as class {} ({}), which {:.1f}% of the truth are: the "
      "other classes are not learned. Train longer, raise optimizer.lr ({:.3g}), or give rare classes more "
      "weight with loss.class_weights=median_frequency",
      100 * share(most_predicted), most, class_names(config_).at(static_cast<size_t>(most)), 100 * share(truth_of_most),
      config_.optimizer.lr);
}

}  // namespace pixelwise
