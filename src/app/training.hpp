// One training, from the first step (or a checkpoint) to the last, and the run folder that it fills.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/monitor.hpp"
#include "app/scan.hpp"
#include "app/time_spent.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/progress.hpp"
#include "pixelwise/io/run_folder.hpp"
#include "pixelwise/train/checkpoint.hpp"

namespace pixelwise {

class Training {
 public:
  /// Opens data and run folder, builds the model, and loads weights or (resume) the newest whole checkpoint.
  Training(const Config& config, const std::string& run, bool resume);
  /// Trains to the end, or until a signal asks to stop, and saves. The signal's number, or 0.
  int run();

 private:
  void load_initial_weights();
  void set_class_weights();
  void resume();
  void make_trainer();

  bool validation_due(int64_t step) const;
  void after_step(const StepReport& report);
  void validate(int64_t step, int64_t epoch);
  void save_checkpoint(int64_t step, int64_t epoch);
  void say(const std::string& warning);  // nothing where it is empty
  void finish(int64_t step);
  void write_samples();
  void draw_curves();
  Evaluator make_evaluator(Keep keep);

  Config config_;
  std::vector<std::string> class_names_;
  std::vector<double> class_weights_;  // empty: all 1
  CheckedSplit train_, val_;
  RunFolder folder_;
  Parameters parameters_;
  std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
  Executor executor_;
  Optimizer optimizer_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Trainer> trainer_;
  Evaluator evaluator_;
  int64_t steps_per_epoch_ = 0, total_steps_ = 0;
  CheckpointInfo state_;         // as of the newest checkpoint, best metric kept up to date
  int64_t validated_step_ = -1;  // the last step with a validation in metrics.jsonl
  std::unique_ptr<Progress> progress_;
  Monitor monitor_;
  TimeSpent time_spent_;
};

}  // namespace pixelwise
