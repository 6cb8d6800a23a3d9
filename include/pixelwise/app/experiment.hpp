// From a configuration to graphs, class weights and weight files that explain themselves.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "pixelwise/app/config.hpp"
#include "pixelwise/data/survey.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/train/evaluator.hpp"

namespace pixelwise {

/// What the inference graph keeps for reading from outside, besides `prediction` (argmax, u8).
struct Keep {
  bool scores = false;         ///< the planes before the argmax
  bool probabilities = false;  ///< their softmax
  bool dropout = false;        ///< stays on: every run with another StepKey is another sample
};

/// The model with one-hot targets (or class ids), loss and all gradients. External values: image, labels, loss, and
/// `denominator` where micro-batches are accumulated.
Graph training_graph(const Config& config, Size size);
/// The model and the argmax, fused for an executor of this precision. External values: image, prediction, and what is
/// kept.
Graph inference_graph(const ModelSpec& model, const Shape& image, Keep keep = {},
                      Precision precision = Precision::fp32);

/// The size of training batches: the crop, or that of the first sample where there is none.
Size training_size(const Config& config, const Dataset& dataset);
/// The largest size that photos are validated at: `largest` (height, width of any) or eval.pad_to, which has to hold
/// it.
Size validation_size(const Config& config, Size largest);
/// Steps of the whole training.
int64_t total_steps(const Config& config, int64_t steps_per_epoch);

/// Config key loss.class_weights as numbers; empty: all 1. `median_frequency` are those of the training masks.
std::vector<double> class_weights(const Config& config, const std::function<Survey()>& train);

/// Saves the weights of a model with the configuration, so that they can be used without any other file.
void save_model(const std::string& path, const Config& config, const Parameters& parameters);

/// A trained model, ready for photos of any size. Not to be moved: executors point into it.
class TrainedModel {
 public:
  /// Throws DataError where the file is not one of save_model's, or does not fit its own configuration.
  explicit TrainedModel(const std::string& weights_path);
  TrainedModel(const TrainedModel&) = delete;
  TrainedModel& operator=(const TrainedModel&) = delete;

  const Config& config() const { return config_; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  /// Makes the executors of inference graphs; all share one arena.
  MakeExecutor maker(Keep keep = {});

 private:
  Config config_;
  std::vector<std::string> class_names_;
  Parameters parameters_;
  std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
};

EvaluatorOptions evaluator_options(const Config& config);

}  // namespace pixelwise
