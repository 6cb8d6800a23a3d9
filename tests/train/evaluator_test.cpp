#include "pixelwise/train/evaluator.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "pixelwise/core/error.hpp"
#include "pixelwise/train/conventions.hpp"
#include "pixelwise/train/signal.hpp"
#include "train/toy.hpp"

namespace pixelwise {
namespace {

// A trained toy network, and evaluators of it.
class EvaluatorTest : public testing::Test {
 protected:
  EvaluatorTest() : toy(settings()) {
    toy.start().run([](const StepReport&) {});
    options.classes = 2;
  }
  static ToyOptions settings() {
    ToyOptions options;
    options.total_steps = 60, options.dropout = 0.1, options.lr = 0.05;
    return options;
  }
  Evaluator evaluator() {
    return {options, [this](const Shape& shape) {
              planned.push_back(shape);
              return Executor(toy_inference_graph(shape, toy.options), toy.parameters, toy.arena);
            }};
  }
  Toy toy;
  EvaluatorOptions options;
  std::vector<Shape> planned;
  const ToyDataset photos{{{12, 12}, {20, 13}, {12, 12}, {9, 31}, {20, 13}}};
};

TEST_F(EvaluatorTest, EveryPhotoAtItsOwnSize) {
  Evaluator evaluation = evaluator();
  int64_t done = 0, predictions = 0;
  const std::optional<ConfusionMatrix> whole = evaluation.evaluate(
      photos,
      [&](const Sample& sample, const Image& prediction, const Executor& executor) {
        EXPECT_EQ(prediction.size(), sample.photo.size());
        EXPECT_EQ(executor.view("prediction").shape.size(), sample.photo.size());
        ++predictions;
      },
      [&](int64_t n, int64_t total) {
        EXPECT_EQ(n, ++done);
        EXPECT_EQ(total, 5);
      });
  ASSERT_TRUE(whole);
  const ConfusionMatrix& matrix = *whole;
  EXPECT_EQ(matrix.images(), 5);
  EXPECT_EQ(predictions, 5);
  EXPECT_EQ(matrix.pixels() + matrix.ignored_pixels(), 2 * 144 + 2 * 260 + 279);
  EXPECT_EQ(matrix.ignored_pixels(), 5);
  EXPECT_GT(metrics_of(matrix).mean_iou_present, 0.8)
      << report_table(report_of(matrix, Convention::pixelwise), {"noise", "square"});
  EXPECT_EQ(planned.size(), 3u) << "each size is planned once";
}

TEST_F(EvaluatorTest, TrainingGoesOnInTheSharedArena) {
  Toy undisturbed(settings());
  undisturbed.start().run([](const StepReport&) {});
  const ToyDataset large{{{64, 64}}};  // needs more memory than training: the block moves
  evaluator().evaluate(large);
  toy.options.total_steps = undisturbed.options.total_steps = 64;
  toy.start(60).run([](const StepReport&) {});
  undisturbed.start(60).run([](const StepReport&) {});
  EXPECT_EQ(toy.bytes(), undisturbed.bytes());
}

TEST_F(EvaluatorTest, PaddedPhotosAreCroppedAgain) {
  std::vector<Image> native, padded;
  const auto keep = [](std::vector<Image>& list) {
    return [&list](const Sample&, const Image& prediction, const Executor&) { list.push_back(prediction); };
  };
  evaluator().evaluate(photos, keep(native));
  options.pad_to = Size{24, 32};
  planned.clear();
  const ConfusionMatrix matrix = *evaluator().evaluate(photos, keep(padded));
  EXPECT_EQ(planned, (std::vector<Shape>{{1, 24, 32, 3}}));
  EXPECT_EQ(matrix.pixels() + matrix.ignored_pixels(), 2 * 144 + 2 * 260 + 279);
  for (size_t i = 0; i < native.size(); ++i) {
    ASSERT_EQ(padded[i].size(), native[i].size());
    EXPECT_EQ(padded[i].pixels, native[i].pixels) << "the mean is 0 behind normalisation, as the convolution's padding";
  }
  options.pad_to = Size{16, 32};
  try {
    evaluator().evaluate(photos);
    FAIL() << "20x13 does not fit into 16x32";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("toy1 is 20x13"), std::string::npos) << error.what();
  }
}

TEST_F(EvaluatorTest, LimitTakesTheFirst) { EXPECT_EQ(evaluator().evaluate(photos, {}, {}, 2)->images(), 2); }

TEST_F(EvaluatorTest, StoppedBySignalItHasNoNumbers) {
  catch_stop_signals();
  const auto stop_after = [](int64_t last) {
    return [last](int64_t done, int64_t) {
      if (done == last) raise(SIGTERM);
    };
  };
  EXPECT_FALSE(evaluator().evaluate(photos, {}, stop_after(3)));
  clear_stop_signal();
  EXPECT_TRUE(evaluator().evaluate(photos, {}, stop_after(5))) << "every photo was measured";
  clear_stop_signal();
}

TEST_F(EvaluatorTest, PredictsOnePhoto) {
  const Sample sample = photos.read(1);
  EXPECT_EQ(evaluator().predict(sample.photo, sample.id).size(), sample.photo.size());
  EXPECT_THROW(evaluator().predict(Image(12, 12, 1), "grey"), DataError);
}

TEST(ExecutorCache, KeepsTheLastUsed) {
  const ToyOptions options;
  Parameters parameters;
  const auto arena = std::make_shared<Arena>();
  int made = 0;
  ExecutorCache cache(
      [&](const Shape& shape) {
        ++made;
        Graph graph = toy_inference_graph(shape, options);
        parameters.ensure(graph, 1);
        return Executor(std::move(graph), parameters, arena);
      },
      2);
  const Shape a{1, 8, 8, 3}, b{1, 8, 9, 3}, c{1, 8, 10, 3};
  cache.at(a), cache.at(b), cache.at(a);
  EXPECT_EQ(made, 2);
  cache.at(c);  // drops b
  cache.at(a);
  EXPECT_EQ(made, 3);
  cache.at(b);
  EXPECT_EQ(made, 4);
}

}  // namespace
}  // namespace pixelwise
