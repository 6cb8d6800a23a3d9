#include "app/step_timer.hpp"

#include <chrono>

#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

void fill_inputs(const Executor& executor, int64_t classes) {
  Random random(1, "step timer");
  const View image = executor.view("image");
  for (int64_t i = 0; i < image.shape.count(); ++i)
    image.as<float>()[i] = static_cast<float>(random.next_uniform(-1, 1));
  if (executor.graph().find("labels") == no_value) return;
  const View labels = executor.view("labels");
  for (int64_t i = 0; i < labels.shape.count(); ++i)
    labels.as<uint8_t>()[i] = static_cast<uint8_t>(random.next_below(static_cast<uint64_t>(classes)));
}

}  // namespace

StepTimer::StepTimer(const ModelGraph& model, Executor& executor, Parameters& parameters) : executor_(executor) {
  fill_inputs(executor, model.config.model.classes);
  if (!model.training) return;
  optimizer_ = std::make_unique<Optimizer>(model.config.optimizer, trained_parameters(executor.graph(), parameters));
  std::vector<View> gradients;
  for (const Value& value : executor.graph().values) {
    if (value.storage == Storage::parameter && !value.frozen && value.gradient != no_value)
      gradients.push_back(executor.view(value.gradient));
  }
  optimizer_->bind(gradients);
}

double StepTimer::run() {
  const auto start = std::chrono::steady_clock::now();
  executor_.run();
  constexpr double rate = 1e-6;  // the parameters hardly move
  if (optimizer_) optimizer_->step(rate, optimizer_->check());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace pixelwise
