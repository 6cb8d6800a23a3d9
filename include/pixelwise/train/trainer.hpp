// The training loop: batches in, one optimiser step out, and nothing changed when the numbers are not finite.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/data/loader.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/train/optimizer.hpp"

namespace pixelwise {

/// How the loss of a step is divided; the same for all of its micro-batches (SoftmaxCrossEntropySpec).
struct LossOptions {
  LossNormalization normalize = LossNormalization::mean;
  std::vector<double> class_weights;  ///< empty: all 1
};

struct TrainerOptions {
  double lr = 0.01;
  ScheduleOptions schedule;
  int64_t total_steps = 0;
  int64_t accumulate = 1;  ///< micro-batches a step; the graph then needs the external value `denominator`
  uint64_t seed = 1;       ///< of dropout
  int64_t classes = 0;
  int64_t ignore_label = 255;
  Normalize normalize;
  LossOptions loss;
  // Names of the graph's external values: {N, H, W, C}, {N, H, W, 1} u8, scalars.
  std::string image = "image", labels = "labels", loss_value = "loss", denominator = "denominator";
};

/// One line of metrics.jsonl.
struct StepReport {
  int64_t step = 0;   ///< steps done, this one included
  int64_t epoch = 0;  ///< of its first sample, from 0
  double loss = 0, lr = 0;
  int64_t labelled_pixels = 0;     ///< of its samples; 0: all were void, the loss and all gradients are zero
  double gradient_norm = 0;        ///< before clipping
  double ms = 0, data_ms = 0;      ///< whole step; of it, waiting for the loader and writing inputs
  std::vector<std::string> names;  ///< ids of its samples
};

/// What the loss of labels is divided by: sum over pixels of w * t (`mean`), the number of images (`batch`), 1 (`sum`).
double loss_denominator(const std::vector<Batch>& micro_batches, const LossOptions& options, int64_t classes,
                        int64_t ignore_label);

class Trainer {
 public:
  /// executor: the training graph (differentiate was called), whose trained parameters the optimiser steps. The loader
  /// gives micro-batches of the graph's batch size, and starts at batch first_step * accumulate.
  /// The optimiser is over trained_parameters(executor.graph(), parameters). All must outlive this.
  Trainer(Executor& executor, Parameters& parameters, Loader& loader, Optimizer& optimizer,
          const TrainerOptions& options, int64_t first_step = 0);
  ~Trainer();

  /// One step. A loss or gradient that is not finite throws DivergedError with the parameter and the samples' ids;
  /// parameters, running statistics and optimiser are then as before the step.
  StepReport step();
  int64_t steps() const;  ///< done, those of the runs before included

  enum class Outcome { finished, stopped };
  /// Steps until total_steps, or until a signal asked to stop (signal.hpp); calls after_step after each.
  Outcome run(const std::function<void(const StepReport&)>& after_step);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The trained parameters of a graph, in the order of its gradients.
std::vector<Parameter*> trained_parameters(const Graph& graph, Parameters& parameters);

}  // namespace pixelwise
