#include "pixelwise/train/trainer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/train/signal.hpp"

namespace pixelwise {
namespace {

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

bool is_trained(const Value& value) {
  return value.storage == Storage::parameter && !value.frozen && value.gradient != no_value;
}

double read_scalar(const View& view) { return view.type == Type::f64 ? *view.as<double>() : *view.as<float>(); }

void write_scalar(const View& view, double value) {
  if (view.type == Type::f64)
    *view.as<double>() = value;
  else
    *view.as<float>() = static_cast<float>(value);
}

// Running statistics change in the forward pass, before anybody can know that the step diverges: they are kept.
class SavedStates {
 public:
  SavedStates(const Graph& graph, Parameters& parameters) {
    for (const Value& value : graph.values) {
      if (value.storage != Storage::state) continue;
      states_.push_back(&parameters.at(value.name));
      const Memory& memory = states_.back()->memory;
      copies_.emplace_back(memory.data(), memory.data() + memory.bytes());
    }
  }
  void save() {
    for (size_t i = 0; i < states_.size(); ++i)
      std::memcpy(copies_[i].data(), states_[i]->memory.data(), copies_[i].size());
  }
  void restore() const {
    for (size_t i = 0; i < states_.size(); ++i)
      std::memcpy(states_[i]->memory.data(), copies_[i].data(), copies_[i].size());
  }
  void changed() const {
    for (Parameter* state : states_) ++state->version;
  }

 private:
  std::vector<Parameter*> states_;
  std::vector<std::vector<std::byte>> copies_;
};

}  // namespace

std::vector<Parameter*> trained_parameters(const Graph& graph, Parameters& parameters) {
  std::vector<Parameter*> result;
  for (const Value& value : graph.values) {
    if (is_trained(value)) result.push_back(&parameters.at(value.name));
  }
  return result;
}

// The weights of the classes of all pixels (label smoothing does not count).
double loss_denominator(const std::vector<Batch>& micro_batches, const LossOptions& options, int64_t classes,
                        int64_t ignore_label) {
  if (options.normalize == LossNormalization::sum) return 1;
  std::array<int64_t, 256> pixels{};  // of each class
  int64_t images = 0;
  for (const Batch& batch : micro_batches) {
    images += static_cast<int64_t>(batch.samples.size());
    for (const Sample& sample : batch.samples) {
      for (const uint8_t id : sample.mask.pixels) ++pixels[id];
    }
  }
  if (options.normalize == LossNormalization::batch) return static_cast<double>(images);
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) {
    if (c == ignore_label) continue;
    const auto id = static_cast<size_t>(c);
    sum += static_cast<double>(pixels[id]) * (options.class_weights.empty() ? 1.0 : options.class_weights.at(id));
  }
  return sum;
}

namespace {

int64_t labelled_pixels(const std::vector<Batch>& micro_batches, int64_t ignore_label) {
  int64_t count = 0;
  for (const Batch& batch : micro_batches) {
    for (const Sample& sample : batch.samples)
      count += std::count_if(sample.mask.pixels.begin(), sample.mask.pixels.end(),
                             [&](uint8_t id) { return id != ignore_label; });
  }
  return count;
}

}  // namespace

struct Trainer::Impl {
  Executor& executor;
  Loader& loader;
  TrainerOptions options;
  Optimizer& optimizer;
  SavedStates states;
  std::vector<ValueId> gradients;
  bool shared_denominator = false;
  int64_t steps = 0;
  std::vector<Batch> batches;  // the micro-batches of the step at hand

  Impl(Executor& e, Parameters& p, Loader& l, Optimizer& o, const TrainerOptions& t, int64_t first_step)
      : executor(e), loader(l), options(t), optimizer(o), states(e.graph(), p), steps(first_step) {
    for (const Value& value : executor.graph().values) {
      if (is_trained(value)) gradients.push_back(value.gradient);
    }
    if (gradients.empty()) throw UsageError("the graph has no trained parameter: call differentiate first");
    shared_denominator = executor.graph().find(options.denominator) != no_value;
    if (options.accumulate < 1) throw UsageError(format("accumulate is {}; wanted 1 or more", options.accumulate));
    if (options.accumulate > 1 && !shared_denominator)
      throw UsageError(format("{} accumulated micro-batches need one denominator: give the loss the value '{}'",
                              options.accumulate, options.denominator));
  }

  void load_batches() {
    batches.clear();
    for (int64_t i = 0; i < options.accumulate; ++i) batches.push_back(loader.next());
  }

  void write_inputs(const Batch& batch) const {
    const View image = executor.view(options.image), labels = executor.view(options.labels);
    if (static_cast<int64_t>(batch.samples.size()) != image.shape.n)
      throw UsageError(format("a batch of {} samples for a graph of {}", batch.samples.size(), image.shape.n));
    for (size_t n = 0; n < batch.samples.size(); ++n) {
      write_input(batch.samples[n].photo, options.normalize, image, static_cast<int64_t>(n));
      write_labels(batch.samples[n].mask, options.ignore_label, labels, static_cast<int64_t>(n));
    }
  }

  std::vector<std::string> sample_ids() const {
    std::vector<std::string> ids;
    for (const Batch& batch : batches) {
      for (const Sample& sample : batch.samples) ids.push_back(sample.id);
    }
    return ids;
  }

  [[noreturn]] void diverged(const std::string& what, double lr) const {
    states.restore();
    std::string samples;
    for (const std::string& id : sample_ids()) samples += (samples.empty() ? "" : ", ") + id;
    throw DivergedError(format(
        "step {}: {}; no parameter was changed. Samples of the step: {}. Use a smaller optimizer.lr (now {:.3g}), "
        "more schedule.warmup_steps or optimizer.clip_norm",
        steps + 1, what, samples, lr));
  }

  // Forward and backward of all micro-batches; returns the loss of the step.
  double run_batches(double lr, double& data_ms) {
    if (shared_denominator)
      write_scalar(executor.view(options.denominator),
                   loss_denominator(batches, options.loss, options.classes, options.ignore_label));
    double loss = 0;
    for (size_t i = 0; i < batches.size(); ++i) {
      const Stopwatch writing;
      write_inputs(batches[i]);
      data_ms += writing.ms();
      const uint64_t first_sample = i * batches[i].samples.size();
      executor.run({options.seed, static_cast<uint64_t>(batches[0].epoch), static_cast<uint64_t>(steps), first_sample},
                   i == 0);
      loss += read_scalar(executor.view(options.loss_value));
      if (!std::isfinite(loss)) diverged(format("the loss is {}", loss), lr);
    }
    return loss;
  }

  void bind_gradients() {  // the arena's block may have moved since the last step
    std::vector<View> views;
    for (const ValueId gradient : gradients) views.push_back(executor.view(gradient));
    optimizer.bind(std::move(views));
  }
};

Trainer::Trainer(Executor& executor, Parameters& parameters, Loader& loader, Optimizer& optimizer,
                 const TrainerOptions& options, int64_t first_step)
    : impl_(std::make_unique<Impl>(executor, parameters, loader, optimizer, options, first_step)) {}
Trainer::~Trainer() = default;

int64_t Trainer::steps() const { return impl_->steps; }

StepReport Trainer::step() {
  Impl& impl = *impl_;
  const Stopwatch whole;
  StepReport report;
  report.lr = impl.options.lr * schedule_factor(impl.options.schedule, impl.steps, impl.options.total_steps);
  impl.load_batches();
  report.data_ms = whole.ms();
  report.epoch = impl.batches[0].epoch;
  report.names = impl.sample_ids();
  report.labelled_pixels = labelled_pixels(impl.batches, impl.options.ignore_label);

  impl.states.save();
  report.loss = impl.run_batches(report.lr, report.data_ms);
  impl.bind_gradients();
  const GradientCheck check = impl.optimizer.check();
  if (!check.finite)
    impl.diverged(format("the loss is {}, but the gradient of '{}' is not finite", report.loss, check.first_bad),
                  report.lr);
  impl.optimizer.step(report.lr, check);
  impl.states.changed();
  report.gradient_norm = check.norm;
  report.step = ++impl.steps;
  report.ms = whole.ms();
  return report;
}

Trainer::Outcome Trainer::run(const std::function<void(const StepReport&)>& after_step) {
  while (impl_->steps < impl_->options.total_steps) {
    after_step(step());
    if (stop_signal()) return Outcome::stopped;
  }
  return Outcome::finished;
}

}  // namespace pixelwise
