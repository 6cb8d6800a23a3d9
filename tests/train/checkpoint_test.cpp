#include "pixelwise/train/checkpoint.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/io/safetensors.hpp"
#include "pixelwise/nn/builder.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

// A model with a running mean, trained for some steps on gradients out of thin air.
struct Training {
  Parameters parameters;
  std::vector<Memory> memory;
  std::unique_ptr<Optimizer> optimizer;

  explicit Training(uint64_t seed, const std::string& optimizer_name = "adam", int64_t classes = 5) {
    Graph graph;
    Builder builder(graph, Phase::training);
    builder.parameter("conv.weight", {4, 3, 3, 2}, Init::kaiming_normal, Layout::oihw);
    builder.parameter("score.weight", {classes, 1, 1, 4}, Init::kaiming_normal, Layout::oihw);
    builder.parameter("bn.running_mean", {1, 1, 1, 4}, Init::normal_001, Layout::vector, Storage::state);
    parameters.ensure(graph, seed);
    OptimizerOptions options;
    options.name = optimizer_name;
    std::vector<Parameter*> trained{&parameters.at("conv.weight"), &parameters.at("score.weight")};
    optimizer = std::make_unique<Optimizer>(options, trained);
    std::vector<View> gradients;
    for (const Parameter* parameter : trained) {
      memory.emplace_back(parameter->memory.bytes());
      gradients.push_back(dense_view(memory.back().data(), Type::f32, parameter->shape));
    }
    optimizer->bind(gradients);
  }
  void step() {
    for (size_t m = 0; m < memory.size(); ++m) {
      const Random random(static_cast<uint64_t>(optimizer->steps()), "gradient", m);
      float* values = reinterpret_cast<float*>(memory[m].data());
      for (int64_t i = 0; i < memory[m].bytes() / 4; ++i)
        values[i] = static_cast<float>(random.normal(static_cast<uint64_t>(i)));
    }
    optimizer->step(0.01, optimizer->check());
  }
  std::vector<Parameter*> everything() {
    std::vector<Parameter*> list = parameters.all();
    for (Parameter* state : optimizer->states()) list.push_back(state);
    return list;
  }
};

void expect_equal(Training& a, Training& b) {
  const auto left = a.everything(), right = b.everything();
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i)
    EXPECT_EQ(
        std::memcmp(left[i]->memory.data(), right[i]->memory.data(), static_cast<size_t>(left[i]->memory.bytes())), 0)
        << left[i]->name;
}

CheckpointInfo some_info() {
  CheckpointInfo info;
  info.step = 120, info.epoch = 3;
  info.best_metric = 1.0 / 3, info.best_step = 80;
  info.config = "{ \"seed\": 1, \"comment\": \"quotes and \\u00fc\" }";
  return info;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(Checkpoint, RestoresEverythingBitByBit) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    const ScratchFolder scratch;
    Training saved(1, name), restored(2, name);
    for (int i = 0; i < 3; ++i) saved.step();
    save_checkpoint(scratch.path("c"), some_info(), saved.parameters, *saved.optimizer);
    const CheckpointInfo info = load_checkpoint(scratch.path("c"), restored.parameters, *restored.optimizer);
    expect_equal(saved, restored);
    EXPECT_EQ(info.step, 120);
    EXPECT_EQ(info.epoch, 3);
    EXPECT_EQ(info.optimizer_steps, 3);
    EXPECT_EQ(info.best_metric, 1.0 / 3) << "every bit of it";
    EXPECT_EQ(info.best_step, 80);
    EXPECT_EQ(info.config, some_info().config);
    EXPECT_FALSE(info.build.empty());
    EXPECT_FALSE(info.isa.empty());
    saved.step(), restored.step();  // and they go on alike
    expect_equal(saved, restored);
  }
}

TEST(Checkpoint, HoldsOptimizerStatesUnderTheirNames) {
  const ScratchFolder scratch;
  Training training(1);
  save_checkpoint(scratch.path("c"), some_info(), training.parameters, *training.optimizer);
  const SafetensorsFile file(scratch.path("c"));
  for (const char* name :
       {"conv.weight", "bn.running_mean", "optimizer.adam.m.conv.weight", "optimizer.adam.v.score.weight"})
    EXPECT_TRUE(file.find(name)) << name;
}

TEST(Checkpoint, RefusesAnotherModelOrOptimizerBeforeItChangesAnything) {
  const ScratchFolder scratch;
  Training saved(1, "adam");
  save_checkpoint(scratch.path("c"), some_info(), saved.parameters, *saved.optimizer);
  const auto refused = [&](Training target, Training same, const std::string& part) {
    const std::string message =
        message_of([&] { load_checkpoint(scratch.path("c"), target.parameters, *target.optimizer); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find(scratch.path("c")), std::string::npos) << message;
    expect_equal(target, same);
  };
  refused(Training(2, "sgd"), Training(2, "sgd"), "'optimizer.momentum.conv.weight' is missing");
  refused(Training(2, "adam", 6), Training(2, "adam", 6), "'score.weight' has another shape");
}

TEST(Checkpoint, TheLatestThatIsWholeWins) {
  const ScratchFolder scratch;
  Training training(1);
  CheckpointInfo info = some_info();
  std::vector<std::string> paths;
  for (int64_t step = 1; step <= 3; ++step) {
    training.step();
    info.step = step;
    paths.insert(paths.begin(), scratch.path("step" + std::to_string(step)));
    save_checkpoint(paths.front(), info, training.parameters, *training.optimizer);
  }
  Training resumed(2);
  EXPECT_EQ(load_latest_checkpoint(paths, resumed.parameters, *resumed.optimizer)->info.step, 3);
  expect_equal(training, resumed);

  const std::string newest = read_file(paths[0]);
  write_file(paths[0], newest.substr(0, newest.size() - 1));  // truncated
  write_file(paths[1], "{}" + read_file(paths[1]));           // garbage in front
  const auto latest = load_latest_checkpoint(paths, resumed.parameters, *resumed.optimizer);
  EXPECT_EQ(latest->info.step, 1);
  EXPECT_EQ(latest->path, paths[2]);
  ASSERT_EQ(latest->damaged.size(), 2u);
  EXPECT_NE(latest->damaged[0].find(paths[0]), std::string::npos);

  write_file(paths[2], "");
  const std::string message =
      message_of([&] { load_latest_checkpoint(paths, resumed.parameters, *resumed.optimizer); });
  for (const std::string& path : paths) EXPECT_NE(message.find(path), std::string::npos) << message;
  EXPECT_FALSE(load_latest_checkpoint({}, resumed.parameters, *resumed.optimizer));
}

TEST(Checkpoint, OneDamagedBitIsFoundBeforeAnythingChanges) {
  const ScratchFolder scratch;
  Training saved(1), target(2), same(2);
  saved.step();
  save_checkpoint(scratch.path("c"), some_info(), saved.parameters, *saved.optimizer);
  const std::string whole = read_file(scratch.path("c"));
  const size_t numbers = whole.size() - 300, counter = whole.find("\"120\"") + 3;  // step 120 becomes step 121
  for (const size_t at : {whole.size() - 4, numbers, counter}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(scratch.path("c"), damaged);
    const std::string message =
        message_of([&] { load_checkpoint(scratch.path("c"), target.parameters, *target.optimizer); });
    EXPECT_NE(message.find(scratch.path("c") + ": damaged"), std::string::npos) << message;
    expect_equal(target, same);
  }
}

TEST(Checkpoint, PlainWeightsAreNotACheckpoint) {
  const ScratchFolder scratch;
  write_safetensors(scratch.path("w"), {}, {{"model", "fcn"}});
  const std::string message = message_of([&] { read_checkpoint_info(scratch.path("w")); });
  EXPECT_NE(message.find("not a checkpoint"), std::string::npos) << message;
}

}  // namespace
}  // namespace pixelwise
