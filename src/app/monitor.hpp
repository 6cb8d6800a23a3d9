// Watches a training for what goes wrong without an error.
#pragma once
#include <string>

#include "pixelwise/app/config.hpp"
#include "pixelwise/train/metrics.hpp"
#include "pixelwise/train/trainer.hpp"

namespace pixelwise {

/// Each warning says what was seen and what to do, and is said once; an empty string: nothing to say.
class Monitor {
 public:
  explicit Monitor(const Config& config) : config_(config) {}

  /// A batch that is all void; a mean loss of steps 101 to 200 that is within 2% of ln(classes), what guessing costs.
  std::string after_step(const StepReport& report);
  /// One class is predicted for nearly every pixel, in two validations in a row or in the last: `last`.
  std::string after_validation(const ConfusionMatrix& matrix, bool last);
  /// Steps so far whose pixels were all void.
  int64_t void_steps() const { return void_steps_; }

 private:
  std::string loss_warning(double loss);

  Config config_;
  int64_t steps_ = 0, void_steps_ = 0, collapsed_validations_ = 0;
  double loss_sum_ = 0;  // of the second hundred steps
  bool collapse_said_ = false;
};

}  // namespace pixelwise
