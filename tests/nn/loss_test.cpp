// Pixel-wise cross-entropy: values by hand, void, and that one-hot targets and class ids are the same loss.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/small_net.hpp"
#include "pixelwise/nn/executor.hpp"

namespace pixelwise {
namespace {

using Numbers = std::vector<double>;

// Scores -> loss, and the gradient of the scores.
struct Loss {
  Graph graph;
  ValueId scores = no_value, labels = no_value, loss = no_value;
  Parameters parameters;
  std::unique_ptr<Executor> executor;

  Loss(const Shape& shape, bool one_hot, const SoftmaxCrossEntropySpec& spec = {}) {
    Builder b(graph, Phase::training, Type::f64);
    scores = b.input("scores", Type::f64, shape);
    labels = b.input("labels", Type::u8, {shape.n, shape.h, shape.w, 1});
    const ValueId targets = one_hot ? b.one_hot(labels, "targets", {shape.c, spec.ignore_label, Type::f64}) : labels;
    loss = b.softmax_cross_entropy(scores, targets, "loss", spec);
    differentiate(graph, loss, {scores});
    parameters.ensure(graph, 1);
    for (Parameter* weights : parameters.all())  // of the classes, where the specification has them
      for (int64_t c = 0; c < shape.c; ++c) weights->view().as<double>()[c] = 0.5 + static_cast<double>(c);
    executor = std::make_unique<Executor>(graph, parameters, std::make_shared<Arena>());
  }
  void fill(const Numbers& values, const std::vector<uint8_t>& ids) {
    std::copy(values.begin(), values.end(), executor->view(scores).as<double>());
    std::copy(ids.begin(), ids.end(), executor->view(labels).as<uint8_t>());
    executor->run();
  }
  double value() const { return *executor->view(loss).as<double>(); }
  Numbers gradient() const {
    const View view = executor->view(graph.at(scores).gradient);
    return {view.as<double>(), view.as<double>() + view.shape.count()};
  }
};

TEST(Loss, ByHand) {
  const Numbers scores{2, 1, 0, 0, 3, 0, 1, 1, 1, 0, 0, 5};
  for (const bool one_hot : {true, false}) {
    Loss loss({1, 1, 4, 3}, one_hot);
    loss.fill(scores, {0, 2, 1, 255});
    const double first = std::log(std::exp(2) + std::exp(1) + 1) - 2, second = std::log(std::exp(3) + 2);
    EXPECT_NEAR(loss.value(), (first + second + std::log(3)) / 3, 1e-14);
    const Numbers gradient = loss.gradient();  // (p - t) / pixels that count
    EXPECT_NEAR(gradient[0], (std::exp(-first) - 1) / 3, 1e-14);
    EXPECT_NEAR(gradient[4], std::exp(3) / (std::exp(3) + 2) / 3, 1e-14);
    EXPECT_NEAR(gradient[7], (1. / 3 - 1) / 3, 1e-14);
  }
}

TEST(Loss, VoidPixelsDoNotCount) {
  for (const bool one_hot : {true, false}) {
    Loss loss({1, 1, 2, 3}, one_hot);
    loss.fill({2, 1, 0, 0, 0, 5}, {0, 255});
    const double value = loss.value();
    const Numbers gradient = loss.gradient();
    loss.fill({2, 1, 0, -7, 90, 5}, {0, 255});
    EXPECT_EQ(loss.value(), value);
    EXPECT_EQ(loss.gradient(), gradient);
    for (const size_t i : {3, 4, 5}) EXPECT_EQ(gradient[i], 0);
    loss.fill({2, 1, 0, 0, 0, 5}, {255, 255});  // nothing to learn from
    EXPECT_EQ(loss.value(), 0);
    EXPECT_EQ(loss.gradient(), Numbers(6, 0));
  }
}

TEST(Loss, OneHotTargetsAndClassIdsAreTheSame) {
  const Shape shape{2, 5, 4, 5};
  for (const LossNormalization normalize :
       {LossNormalization::mean, LossNormalization::sum, LossNormalization::batch}) {
    for (const double smoothing : {0.0, 0.1}) {
      for (const bool weighted : {false, true}) {
        const SoftmaxCrossEntropySpec spec{normalize, smoothing, 255, weighted};
        Loss planes(shape, true, spec), ids(shape, false, spec);
        for (Loss* loss : {&planes, &ids}) {
          fill_normal(loss->executor->view(loss->scores), 1);
          fill_labels(loss->executor->view(loss->labels), 1);
          loss->executor->run();
        }
        EXPECT_GT(planes.value(), 0);
        EXPECT_EQ(planes.value(), ids.value());
        EXPECT_EQ(planes.gradient(), ids.gradient());
      }
    }
  }
}

}  // namespace
}  // namespace pixelwise
