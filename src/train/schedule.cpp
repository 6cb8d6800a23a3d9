#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/train/optimizer.hpp"

namespace pixelwise {
namespace {

double decay(const ScheduleOptions& options, int64_t step, int64_t total_steps) {
  if (options.name == "fixed") return 1;
  if (options.name == "step") {
    const auto reached = std::count_if(options.milestones.begin(), options.milestones.end(),
                                       [&](int64_t milestone) { return milestone <= step; });
    return std::pow(options.gamma, static_cast<double>(reached));
  }
  if (options.name == "poly") {  // "poly" of Chen et al. 2018 (DeepLab), section 4.1.2
    const double done = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(total_steps, 1));
    return std::pow(std::max(0.0, 1 - done), options.power);
  }
  throw UsageError(format("schedule.name is '{}'; use fixed, step or poly", options.name));
}

}  // namespace

double schedule_factor(const ScheduleOptions& options, int64_t step, int64_t total_steps) {
  const double factor = decay(options, step, total_steps);
  if (step >= options.warmup_steps) return factor;
  return factor * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
}

}  // namespace pixelwise
