#include "app/training.hpp"

#include <algorithm>
#include <filesystem>

#include "app/curves.hpp"
#include "app/memory.hpp"
#include "app/pictures.hpp"
#include "app/report.hpp"
#include "core/format.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/train/signal.hpp"
#include "pixelwise/train/weights.hpp"

namespace pixelwise {
namespace {

constexpr size_t kept_checkpoints = 3;
constexpr int64_t preview_rows = 4, sample_rows = 8;

// What the run's config.json says, where that means the same: one of an earlier version lacks the keys that came since.
std::string config_of_run(const Config& config, const std::string& run) {
  const std::string wanted = config_json(config), path = run + "/config.json";
  try {
    const std::string known = read_file(path);
    if (config_json(parse_config_text(known, path)) == wanted) return known;
  } catch (const Error&) {
    // There is none yet, or no config: the folder tells.
  }
  return wanted;
}

// The run's folder, which a training that the machine has no memory for does not make.
RunFolder open_folder(const Config& config, const Dataset& train_set, const CheckedSplit& val, const std::string& run,
                      bool resume) {
  const Size largest = val.survey ? val.survey->largest : val.dataset->read(0).photo.size();
  const std::string shortage =
      memory_shortage(config, training_size(config, train_set), validation_size(config, largest), available_memory());
  if (!shortage.empty()) throw ResourceError(shortage);
  return RunFolder(run, config_of_run(config, run), resume);
}

// The training graph's executor; its parameters are made and initialised first.
Executor make_executor(const Config& config, const Dataset& train_set, Parameters& parameters,
                       const std::shared_ptr<Arena>& arena) {
  Graph graph = training_graph(config, training_size(config, train_set));
  parameters.ensure(graph, static_cast<uint64_t>(config.seed));
  return Executor(std::move(graph), parameters, arena, precision_of(config));
}

LossNormalization normalization_of(const Config& config) {
  if (config.loss.normalize == "sum") return LossNormalization::sum;
  return config.loss.normalize == "batch" ? LossNormalization::batch : LossNormalization::mean;
}

std::vector<Picture> sample_pictures(const Sample& sample, const Image& prediction) {
  return {{sample.id, sample.photo}, {"truth", colour_ids(sample.mask)}, {"prediction", colour_ids(prediction)}};
}

// The last step that metrics.jsonl has a validation of.
int64_t last_validation(const std::string& path) {
  int64_t last = -1;
  std::string text;
  try {
    text = read_file(path);
  } catch (const DataError&) {
    return last;  // no step was made yet
  }
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const JsonValue line = parse_json(text.substr(begin, end - begin), path);
    if (line.find("val")) last = line.at("step").integer();
  }
  return last;
}

}  // namespace

Training::Training(const Config& config, const std::string& run, bool resume_run)
    : config_(config),
      class_names_(class_names(config)),
      train_(open_checked(config, "train")),
      val_(open_checked(config, "val")),
      folder_(open_folder(config, *train_.dataset, val_, run, resume_run)),
      executor_(make_executor(config_, *train_.dataset, parameters_, arena_)),
      optimizer_(config.optimizer, trained_parameters(executor_.graph(), parameters_)),
      evaluator_(make_evaluator({})),
      monitor_(config) {
  print_warnings(warnings_of(executor_.graph()));
  if (train_.survey) print_warnings(data_warnings(config_, *train_.survey));
  set_class_weights();
  const bool begun = resume_run && !list_checkpoints(run).empty();
  if (resume_run && !begun) std::fputs(format("{} has no checkpoint: starting at step 0\n", run).c_str(), stderr);
  if (begun)
    resume();
  else
    load_initial_weights();
  folder_.truncate_metrics(state_.step);
  validated_step_ = last_validation(folder_.file("metrics.jsonl"));
  make_trainer();
}

void Training::load_initial_weights() {
  const std::optional<std::string>& file = config_.model.weights.file;
  if (!file) return;
  const LoadReport report =
      load_weights(*file, parameters_, load_mode(config_.model.weights.load), classifier_of(model_spec(config_)));
  std::fputs(format("{}: {}\n", *file, to_string(report)).c_str(), stderr);
}

void Training::set_class_weights() {
  class_weights_ = class_weights(config_, [&] { return train_.survey ? *train_.survey : scan(config_, "train"); });
  for (Parameter* parameter : parameters_.all()) {
    if (class_weights_.empty() || !parameter->name.ends_with("loss.class_weights")) continue;
    std::copy(class_weights_.begin(), class_weights_.end(), parameter->view().as<float>());
    ++parameter->version;
  }
}

void Training::resume() {
  const auto latest = load_latest_checkpoint(list_checkpoints(folder_.path()), parameters_, optimizer_);
  for (const std::string& message : latest->damaged) std::fputs(("passed over: " + message + "\n").c_str(), stderr);
  std::fputs(format("resuming at step {} of {}\n", latest->info.step, latest->path).c_str(), stderr);
  state_ = latest->info;
}

void Training::make_trainer() {
  LoaderOptions loading;
  loading.batch_size = config_.train.batch_size;
  loading.workers = config_.data.workers;
  loading.seed = static_cast<uint64_t>(config_.seed);
  loading.augment = augment_options(config_);
  loading.augment.crop = training_size(config_, *train_.dataset);
  loading.normalize = config_.model.normalize;
  loading.ignore_label = config_.data.ignore_label;
  const int64_t accumulate = config_.train.accumulate;
  loader_ = std::make_unique<Loader>(*train_.dataset, loading, state_.step * accumulate);
  steps_per_epoch_ = std::max<int64_t>(1, loader_->batches_per_epoch() / accumulate);
  total_steps_ = total_steps(config_, steps_per_epoch_);

  TrainerOptions options;
  options.lr = config_.optimizer.lr;
  options.schedule = config_.schedule;
  options.total_steps = total_steps_;
  options.accumulate = accumulate;
  options.seed = static_cast<uint64_t>(config_.seed);
  options.classes = config_.model.classes;
  options.ignore_label = config_.data.ignore_label;
  options.normalize = config_.model.normalize;
  options.loss = {normalization_of(config_), class_weights_};
  trainer_ = std::make_unique<Trainer>(executor_, parameters_, *loader_, optimizer_, options, state_.step);
}

Evaluator Training::make_evaluator(Keep keep) {
  return Evaluator(evaluator_options(config_), [this, keep](const Shape& shape) {
    const Precision precision = precision_of(config_);
    return Executor(inference_graph(model_spec(config_), shape, keep, precision), parameters_, arena_, precision);
  });
}

bool Training::validation_due(int64_t step) const {
  const int64_t every = config_.train.validate_every_epochs * steps_per_epoch_;
  return step > 0 && validated_step_ < step && (step == total_steps_ || (every > 0 && step % every == 0));
}

void Training::validate(int64_t step, int64_t epoch) {
  std::vector<std::vector<Picture>> rows;
  const auto preview = [&](const Sample& sample, const Image& prediction, const Executor&) {
    if (static_cast<int64_t>(rows.size()) < preview_rows) rows.push_back(sample_pictures(sample, prediction));
  };
  const std::optional<ConfusionMatrix> matrix = evaluator_.evaluate(*val_.dataset, preview);
  if (!matrix) return;  // stopped: made again when the run is resumed
  const Metrics metrics = metrics_of(*matrix);
  say(monitor_.after_validation(*matrix, step == total_steps_));
  progress_->message(format("step {}: validation: mean_iou_present {:.4f}, pixel_accuracy {:.4f}", step,
                            metrics.mean_iou_present, metrics.pixel_accuracy));
  if (!state_.best_metric || metrics.mean_iou_present > *state_.best_metric) {
    state_.best_metric = metrics.mean_iou_present;
    state_.best_step = step;
    save_model(folder_.file("best.safetensors"), config_, parameters_);
  }
  write_png(folder_.file(format("previews/step-{}.png", step)), draw_sheet(rows));
  folder_.append_metrics(
      dump_json(JsonValue::Object{{"step", step}, {"epoch", epoch}, {"val", metrics_json(*matrix, class_names_)}}));
  validated_step_ = step;
  draw_curves();
}

void Training::draw_curves() {
  write_file(folder_.file("curves.svg"), svg_of_metrics(read_file(folder_.file("metrics.jsonl")), config_.model.name));
}

void Training::say(const std::string& warning) {
  if (!warning.empty()) progress_->message("warning: " + warning);
}

void Training::save_checkpoint(int64_t step, int64_t epoch) {
  state_.step = step;
  state_.epoch = epoch;
  state_.config = config_json(config_);
  const std::string path = folder_.checkpoint(step);
  const double seconds = seconds_of([&] {
    folder_.sync_metrics();
    pixelwise::save_checkpoint(path, state_, parameters_, optimizer_);
    prune_checkpoints(folder_.path(), kept_checkpoints);
  });
  time_spent_.add_checkpoint(static_cast<int64_t>(std::filesystem::file_size(path)), seconds);
}

void Training::after_step(const StepReport& report) {
  const double logging = seconds_of([&] {
    folder_.append_metrics(dump_json(JsonValue::Object{{"step", report.step},
                                                       {"epoch", report.epoch},
                                                       {"loss", report.loss},
                                                       {"lr", report.lr},
                                                       {"ms", report.ms},
                                                       {"data_ms", report.data_ms}}));
    progress_->update(report.step, format("loss {:.4f} lr {:.3g}", report.loss, report.lr));
    say(monitor_.after_step(report));
  });
  time_spent_.add_step(report, logging);
  if (validation_due(report.step) && !stop_signal()) validate(report.step, report.epoch);
  const int64_t every = config_.train.checkpoint_every_steps;
  const bool due = every > 0 && report.step % every == 0;
  if (due || report.step == total_steps_ || stop_signal()) save_checkpoint(report.step, report.epoch);
}

void Training::write_samples() {
  std::vector<std::vector<Picture>> rows;
  Evaluator evaluator = make_evaluator({.scores = true});
  const auto draw = [&](const Sample& sample, const Image& prediction, const Executor& executor) {
    rows.push_back(sample_pictures(sample, prediction));
    for (Picture& plane : score_planes(executor.view("scores"), sample.photo.size(), class_names_))
      rows.back().push_back(std::move(plane));
  };
  if (evaluator.evaluate(*val_.dataset, draw, {}, sample_rows))
    write_png(folder_.file("samples.png"), draw_sheet(rows));
}

void Training::finish(int64_t step) {
  save_model(folder_.file("weights.safetensors"), config_, parameters_);
  write_samples();
  draw_curves();
  const std::string best =
      state_.best_metric ? format(", best mean_iou_present {:.4f} at step {}", *state_.best_metric, state_.best_step)
                         : "";
  if (monitor_.void_steps() > 0)
    progress_->message(format("{} steps had only void pixels: they changed nothing but by momentum and weight decay",
                              monitor_.void_steps()));
  progress_->message(format("trained {} steps{}; weights and pictures are in {}", step, best, folder_.path()));
}

int Training::run() {
  progress_ = std::make_unique<Progress>(total_steps_, state_.step);
  // A validation that a signal cut short belongs to the step before.
  if (validation_due(state_.step)) {
    validate(state_.step, state_.epoch);
    save_checkpoint(state_.step, state_.epoch);
  }
  trainer_->run([this](const StepReport& report) { after_step(report); });
  if (!stop_signal() || trainer_->steps() == total_steps_) finish(trainer_->steps());
  if (const std::string text = time_spent_.text(); !text.empty()) progress_->message(text);
  if (const int signal = stop_signal()) {
    progress_->message(format("stopped by signal {} after step {}; everything is saved: continue with --resume", signal,
                              trainer_->steps()));
    return signal;
  }
  return 0;
}

}  // namespace pixelwise
