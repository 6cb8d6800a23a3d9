#include "app/time_spent.hpp"

#include "core/format.hpp"

namespace pixelwise {

void TimeSpent::add_step(const StepReport& report, double logging_seconds) {
  ++steps_;
  seconds_ += report.ms * 1e-3 + logging_seconds;
  data_seconds_ += report.data_ms * 1e-3;
  logging_seconds_ += logging_seconds;
}

void TimeSpent::add_checkpoint(int64_t bytes, double seconds) {
  ++checkpoints_;
  checkpoint_bytes_ = bytes;
  checkpoint_seconds_ += seconds;
}

std::string TimeSpent::text() const {
  if (steps_ == 0) return {};
  const auto percent = [&](double part) { return 100 * part / seconds_; };
  std::string text =
      format("{:.0f} ms a step: waiting for data {:.1f}%, logging {:.1f}%",
             1e3 * seconds_ / static_cast<double>(steps_), percent(data_seconds_), percent(logging_seconds_));
  if (checkpoints_ > 0)
    text += format("; {:.1f} MiB and {:.2f} s a checkpoint", static_cast<double>(checkpoint_bytes_) / (1 << 20),
                   checkpoint_seconds_ / static_cast<double>(checkpoints_));
  return text;
}

}  // namespace pixelwise
