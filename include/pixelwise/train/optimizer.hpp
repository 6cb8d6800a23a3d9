// Optimisers: one pass over all parameters after their gradients are known to be finite.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/nn/parameters.hpp"

namespace pixelwise {

/// Config key `optimizer`.
struct GroupOptions {
  double lr_scale = 1;
  std::optional<double> weight_decay;  ///< nothing: the optimiser's
};
struct OptimizerOptions {
  std::string name = "sgd";  ///< sgd, adam or adamw
  double lr = 0.01, momentum = 0.9, weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  ///< adam, adamw
  GroupOptions bias{1, std::nullopt};             ///< biases and the weights of batch norm (vectors)
  GroupOptions backbone{1, std::nullopt};         ///< names that start with "backbone."
  std::optional<double> clip_norm;                ///< of the norm of all gradients together
};

struct GradientCheck {
  double norm = 0;  ///< of all gradients together
  bool finite = true;
  std::string first_bad;  ///< the parameter where it is not
};

/// SGD with momentum as PyTorch's (v = momentum v + g + wd p; p -= lr v), Adam (Kingma, Ba 2015) and AdamW (Loshchilov,
/// Hutter 2019) as PyTorch's. States are named: "momentum.NAME", "adam.m.NAME", "adam.v.NAME".
class Optimizer {
 public:
  /// gradients[i] belongs to parameters[i]; both must outlive this, or be rebound.
  Optimizer(const OptimizerOptions& options, std::vector<Parameter*> parameters);
  ~Optimizer();
  void bind(std::vector<View> gradients);
  GradientCheck check() const;
  /// One step at learning rate `lr`, with the gradients scaled by clip_norm / norm where that is smaller.
  void step(double lr, const GradientCheck& check);

  int64_t steps() const;  ///< made so far (Adam's bias correction)
  void set_steps(int64_t steps);
  /// The states, to save and restore; same shapes and layout as the parameters.
  std::vector<Parameter*> states();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Config key `schedule`: the factor on lr at a step.
struct ScheduleOptions {
  std::string name = "poly";        ///< fixed, step or poly
  double power = 0.9;               ///< poly: (1 - step / total)^power
  std::vector<int64_t> milestones;  ///< step: multiply by gamma at each of these steps
  double gamma = 0.1;
  int64_t warmup_steps = 0;  ///< linear: (step + 1) / warmup_steps, times the schedule
};
double schedule_factor(const ScheduleOptions& options, int64_t step, int64_t total_steps);

}  // namespace pixelwise
