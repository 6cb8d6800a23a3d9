#include "pixelwise/train/trainer.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <limits>

#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/train/checkpoint.hpp"
#include "pixelwise/train/signal.hpp"
#include "support/scratch.hpp"
#include "train/toy.hpp"

namespace pixelwise {
namespace {

const auto nothing = [](const StepReport&) {};

TEST(Trainer, LearnsAToyTask) {
  for (const char* optimizer : {"sgd", "adamw"}) {
    ToyOptions options;
    options.optimizer = optimizer;
    options.total_steps = 40, options.dropout = 0.1, options.lr = 0.05;
    Toy toy(options);
    std::vector<StepReport> reports;
    toy.start().run([&](const StepReport& report) { reports.push_back(report); });
    ASSERT_EQ(reports.size(), 40u);
    EXPECT_GT(reports.front().loss, 0.4) << optimizer;
    EXPECT_LT(reports.back().loss, 0.1) << optimizer;
    EXPECT_EQ(reports.front().step, 1);
    EXPECT_EQ(reports.back().step, 40);
    EXPECT_EQ(reports.front().epoch, 0);
    EXPECT_EQ(reports.back().epoch, 9) << "18 samples are 4 batches of 4 an epoch";
    EXPECT_NEAR(reports[0].lr, 0.05 / 3, 1e-12) << "warm-up";
    EXPECT_EQ(reports[0].names.size(), 4u);
    EXPECT_GT(reports[0].gradient_norm, 0);
  }
}

TEST(Trainer, ResumesByteForByte) {
  for (const char* optimizer : {"sgd", "adam"}) {
    ToyOptions options;
    options.batch = 2, options.accumulate = 2, options.optimizer = optimizer;
    const ScratchFolder scratch;
    Toy whole(options);
    std::vector<double> losses;
    whole.start().run([&](const StepReport& report) {
      losses.push_back(report.loss);
      CheckpointInfo info;
      info.step = report.step;
      const std::string path = scratch.path("step" + std::to_string(report.step));
      save_checkpoint(path, info, whole.parameters, *whole.optimizer);
    });
    for (const int64_t k : {1, 5, 11}) {
      Toy resumed(options);
      const std::string path = scratch.path("step" + std::to_string(k));
      const CheckpointInfo info = load_checkpoint(path, resumed.parameters, *resumed.optimizer);
      ASSERT_EQ(info.step, k);
      resumed.start(info.step).run([&](const StepReport& report) {
        EXPECT_EQ(report.loss, losses[static_cast<size_t>(report.step - 1)]) << "step " << report.step;
      });
      EXPECT_EQ(resumed.bytes(), whole.bytes()) << "from step " << k;
    }
  }
}

TEST(Trainer, TheNumberOfThreadsChangesNoBit) {
  const int before = thread_count();
  std::vector<std::vector<std::byte>> results;
  for (const int threads : {1, 2, 3, 7}) {
    set_thread_count(threads);
    Toy toy({});
    toy.start().run(nothing);
    results.push_back(toy.bytes());
  }
  set_thread_count(before);
  for (size_t i = 1; i < results.size(); ++i) EXPECT_EQ(results[0], results[i]) << i;
}

// Nothing that a step reads may lie in memory that the plan calls dead.
TEST(Trainer, PoisonedDeadMemoryChangesNoBit) {
  ToyOptions options;
  options.batch = 2, options.accumulate = 2, options.total_steps = 3;
  Toy clean(options), poisoned(options);
  poisoned.executor->set_poison(true);
  clean.start().run(nothing);
  poisoned.start().run(nothing);
  EXPECT_EQ(clean.bytes(), poisoned.bytes());
}

// Without batch norm (whose statistics are a micro-batch's), two micro-batches of two are a batch of four: the void
// pixels, unevenly spread, share one denominator, and dropout draws the same masks.
TEST(Trainer, AccumulatedMicroBatchesAreOneBatch) {
  ToyOptions options;
  options.batch_norm = false, options.total_steps = 4;
  Toy one(options);
  options.batch = 2, options.accumulate = 2;
  Toy two(options);
  std::vector<double> losses;
  one.start().run([&](const StepReport& report) { losses.push_back(report.loss); });
  two.start().run(
      [&](const StepReport& report) { EXPECT_NEAR(report.loss, losses[static_cast<size_t>(report.step - 1)], 1e-6); });
  for (const Parameter* expected : one.parameters.all()) {
    const float* x = expected->view().as<float>();
    const float* y = two.parameters.at(expected->name).view().as<float>();
    for (int64_t i = 0; i < expected->shape.count(); ++i) ASSERT_NEAR(x[i], y[i], 1e-6) << expected->name;
  }
}

std::string divergence_of(Trainer& trainer) {
  try {
    trainer.step();
  } catch (const DivergedError& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(Trainer, ALossThatIsNotFiniteChangesNothing) {
  Toy toy({});
  toy.start();
  for (int i = 0; i < 3; ++i) toy.trainer->step();
  float& weight = toy.parameters.at("backbone.conv.weight").view().as<float>()[5];
  weight = std::numeric_limits<float>::quiet_NaN();  // also spoils the running statistics in the forward pass
  const std::vector<std::byte> before = toy.bytes();
  const std::string message = divergence_of(*toy.trainer);
  EXPECT_EQ(toy.bytes(), before);
  EXPECT_EQ(toy.trainer->steps(), 3);
  EXPECT_NE(message.find("step 4: the loss is nan"), std::string::npos) << message;
  EXPECT_NE(message.find("toy"), std::string::npos) << "the samples are named: " << message;
}

TEST(Trainer, AGradientThatIsNotFiniteChangesNothing) {
  ToyOptions options;
  options.batch_norm = false, options.dropout = 0;
  Toy toy(options);
  toy.start();
  // Features of 0.001 times weights of 3e38: most pixels are finitely wrong, but the gradient of the features is their
  // sum over pixels of 6e38.
  const auto fill = [&](const char* name, auto value_of) {
    const Parameter& parameter = toy.parameters.at(name);
    for (int64_t i = 0; i < parameter.shape.count(); ++i) parameter.view().as<float>()[i] = value_of(i);
  };
  fill("backbone.conv.weight", [](int64_t) { return 0.F; });
  fill("backbone.conv.bias", [](int64_t) { return 0.001F; });
  fill("classifier.score.weight", [](int64_t i) { return i < 8 ? -3e38F : 3e38F; });
  const std::vector<std::byte> before = toy.bytes();
  const std::string message = divergence_of(*toy.trainer);
  EXPECT_EQ(toy.bytes(), before);
  EXPECT_NE(message.find("the gradient of '"), std::string::npos) << message;
  EXPECT_NE(message.find("toy"), std::string::npos) << "the samples are named: " << message;
}

TEST(Trainer, ASignalStopsItAfterTheStepAtHand) {
  catch_stop_signals();
  Toy toy({});
  const Trainer::Outcome outcome = toy.start().run([](const StepReport& report) {
    if (report.step == 3) raise(SIGTERM);
  });
  EXPECT_EQ(outcome, Trainer::Outcome::stopped);
  EXPECT_EQ(toy.trainer->steps(), 3);
  EXPECT_EQ(stop_signal(), SIGTERM);
  clear_stop_signal();
  EXPECT_EQ(toy.trainer->run(nothing), Trainer::Outcome::finished);
  EXPECT_EQ(toy.trainer->steps(), 12);
  signal(SIGTERM, SIG_DFL), signal(SIGINT, SIG_DFL);
}

// A mask of two pixels of class 0, one of class 1 and one void.
Batch batch_of(int64_t images) {
  Batch batch;
  for (int64_t i = 0; i < images; ++i) {
    Sample sample{"x", Image(1, 4, 3), Image(1, 4, 1)};
    sample.mask.pixels = {0, 1, 255, 0};
    batch.samples.push_back(sample);
  }
  return batch;
}

TEST(LossDenominator, ByHand) {
  const std::vector<Batch> batches{batch_of(1), batch_of(2)};
  LossOptions options;
  EXPECT_EQ(loss_denominator(batches, options, 2, 255), 9);
  options.class_weights = {0.5, 3};
  EXPECT_DOUBLE_EQ(loss_denominator(batches, options, 2, 255), 3 * (2 * 0.5 + 3));
  EXPECT_EQ(loss_denominator(batches, {}, 2, 0), 3) << "another ignore label";
  options.normalize = LossNormalization::batch;
  EXPECT_EQ(loss_denominator(batches, options, 2, 255), 3);
  options.normalize = LossNormalization::sum;
  EXPECT_EQ(loss_denominator(batches, options, 2, 255), 1);
}

}  // namespace
}  // namespace pixelwise
