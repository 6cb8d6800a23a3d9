// Mean and variance over passes with dropout.
#include "app/sampling.hpp"

#include <gtest/gtest.h>

#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

// A small Bayesian SegNet-Basic that was not trained, and a photo of noise.
class Sampling : public testing::Test {
 protected:
  Executor executor(bool dropout) {
    ModelSpec spec{"segnet_basic", 5, 3, {}};
    spec.options.width = 0.125;
    spec.options.bayesian = true;
    Graph graph = inference_graph(spec, {1, 37, 45, 3}, {false, true, dropout});
    EXPECT_EQ(has_dropout(graph), dropout);
    parameters_.ensure(graph, 1);
    Executor result(std::move(graph), parameters_, std::make_shared<Arena>());
    const View image = result.view("image");
    for (int64_t i = 0; i < image.shape.count(); ++i)
      image.as<float>()[i] = static_cast<float>(Random(2).normal(static_cast<uint64_t>(i)));
    return result;
  }

  Parameters parameters_;
};

TEST_F(Sampling, MeanAndVarianceAreThoseOfSinglePasses) {
  Executor sampler = executor(true), single = executor(true);
  constexpr int64_t count = 5;
  const Samples samples = sample_dropout(sampler, count, 7);
  const View p = single.view("probabilities");
  std::vector<double> sum(samples.mean.size()), squares(samples.mean.size());
  for (uint64_t i = 0; i < count; ++i) {
    single.run({7, 0, i});
    for (size_t k = 0; k < sum.size(); ++k) {
      sum[k] += p.as<float>()[k];
      squares[k] += double{p.as<float>()[k]} * p.as<float>()[k];
    }
  }
  double most = 0;
  for (size_t k = 0; k < sum.size(); ++k) {
    const double mean = sum[k] / count;
    ASSERT_NEAR(samples.mean[k], mean, 1e-6);
    ASSERT_NEAR(samples.variance[k], squares[k] / count - mean * mean, 1e-6);
    most = std::max(most, double{samples.variance[k]});
  }
  EXPECT_GT(most, 1e-3);
}

TEST_F(Sampling, WithoutDropoutTheVarianceIsZero) {
  Executor sampler = executor(false);
  const Samples samples = sample_dropout(sampler, 3, 7);
  sampler.run();
  for (size_t k = 0; k < samples.mean.size(); ++k) {
    ASSERT_EQ(samples.mean[k], sampler.view("probabilities").as<float>()[k]);
    ASSERT_EQ(samples.variance[k], 0);
  }
}

TEST_F(Sampling, TheSeedDecides) {
  Executor sampler = executor(true);
  const Samples first = sample_dropout(sampler, 2, 7), other = sample_dropout(sampler, 2, 8),
                again = sample_dropout(sampler, 2, 7);
  EXPECT_EQ(first.mean, again.mean);
  EXPECT_EQ(first.variance, again.variance);
  EXPECT_NE(first.mean, other.mean);
}

}  // namespace
}  // namespace pixelwise
