// Where the time of a training goes besides forward, backward and update.
#pragma once
#include <chrono>
#include <string>

#include "pixelwise/train/trainer.hpp"

namespace pixelwise {

class TimeSpent {
 public:
  /// A step, and the seconds that were then spent on its line of metrics.jsonl and on the screen.
  void add_step(const StepReport& report, double logging_seconds);
  void add_checkpoint(int64_t bytes, double seconds);
  /// "412 ms a step: waiting for data 0.4%, logging 0.0%; 80.9 MiB and 0.21 s a checkpoint". Empty: no step was made.
  std::string text() const;

 private:
  int64_t steps_ = 0, checkpoints_ = 0, checkpoint_bytes_ = 0;  // bytes: of the last one; all are alike
  double seconds_ = 0, data_seconds_ = 0, logging_seconds_ = 0, checkpoint_seconds_ = 0;
};

/// The seconds that a piece of work takes.
template <class Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace pixelwise
