// Whole steps on made-up photos, for those who want to know how long one takes.
#pragma once
#include <memory>

#include "app/model_graph.hpp"
#include "pixelwise/train/optimizer.hpp"

namespace pixelwise {

class StepTimer {
 public:
  /// Fills the executor's inputs with random photos and labels: kernels must not meet special values. `executor` must
  /// run model.graph on `parameters`, and both must outlive this.
  StepTimer(const ModelGraph& model, Executor& executor, Parameters& parameters);
  /// Seconds of a step: forward; in training forward, backward and the optimiser's step.
  double run();

 private:
  Executor& executor_;
  std::unique_ptr<Optimizer> optimizer_;  // training only
};

}  // namespace pixelwise
