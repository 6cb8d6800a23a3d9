#include "pixelwise/train/optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

// Parameters with gradients, outside any graph.
struct Problem {
  std::vector<std::unique_ptr<Parameter>> parameters;
  std::vector<Memory> memory;
  std::vector<View> gradients;

  Parameter& add(const std::string& name, const Shape& shape, Layout layout, Type type) {
    auto parameter = std::make_unique<Parameter>();
    parameter->name = name, parameter->shape = shape, parameter->layout = layout, parameter->type = type;
    parameter->memory = Memory(shape.count() * size_of(type));
    parameters.push_back(std::move(parameter));
    memory.emplace_back(shape.count() * size_of(type));
    gradients.push_back(dense_view(memory.back().data(), type, shape));
    return *parameters.back();
  }
  std::vector<Parameter*> list() const {
    std::vector<Parameter*> result;
    for (const auto& parameter : parameters) result.push_back(parameter.get());
    return result;
  }
};

void set(const View& view, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (view.type == Type::f64) view.as<double>()[i] = values[i];
    if (view.type == Type::f32) view.as<float>()[i] = static_cast<float>(values[i]);
  }
}
double get(const View& view, size_t i) { return view.type == Type::f64 ? view.as<double>()[i] : view.as<float>()[i]; }

// Three steps with gradients and rates that change, as in the oracle that printed the expected values:
//   g = [0.1, -0.2, 0.3, -0.4, 0.5] * (step + 1) - 0.25 * step, lr = 0.1 / (step + 1)   (PyTorch 2.13)
void expect_torch(const OptimizerOptions& options, Type type, const std::vector<double>& expected) {
  Problem problem;
  const Parameter& p = problem.add("fc.weight", {1, 1, 1, 5}, Layout::oihw, type);
  set(p.view(), {0.5, -1.25, 2.0, 0.0, -0.75});
  Optimizer optimizer(options, problem.list());
  optimizer.bind(problem.gradients);
  for (int step = 0; step < 3; ++step) {
    std::vector<double> gradient;
    for (const double g : {0.1, -0.2, 0.3, -0.4, 0.5}) gradient.push_back(g * (step + 1) - 0.25 * step);
    set(problem.gradients[0], gradient);
    optimizer.step(0.1 / (step + 1), optimizer.check());
  }
  const double tolerance = type == Type::f64 ? 1e-14 : 2e-7;
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(get(p.view(), i), expected[i], tolerance) << "element " << i;
  EXPECT_EQ(optimizer.steps(), 3);
}

void expect_torch(const OptimizerOptions& options, const std::vector<double>& expected) {
  expect_torch(options, Type::f64, expected);
  expect_torch(options, Type::f32, expected);
}

TEST(Optimizer, SgdAsPyTorch) {
  OptimizerOptions options;
  options.weight_decay = 0.01;
  expect_torch(options,
               {0.49205272324999999, -1.123404975625, 1.9014072280000001, 0.20939784000000003, -0.9271177623750001});
  options.momentum = 0;
  expect_torch(options,
               {0.49825799825, -1.1585704131250001, 1.9355328279999999, 0.14911584000000003, -0.86940492487499998});
}

TEST(Optimizer, ClippingAsPyTorch) {
  OptimizerOptions options;
  options.clip_norm = 0.5;
  expect_torch(options, {0.49119626923587251, -1.2013644713153759, 1.9529034296033716, 0.086928368317124971,
                         -0.83538941002912936});
}

TEST(Optimizer, AdamAndAdamWAsPyTorch) {
  OptimizerOptions options;
  options.name = "adam";
  options.weight_decay = 0.01;
  expect_torch(options,
               {0.39854865095886866, -1.0738020918844129, 1.816496710171569, 0.1777307430164122, -0.93242353537948264});
  options.name = "adamw";
  options.beta1 = 0.8, options.beta2 = 0.95, options.eps = 1e-6;
  expect_torch(options, {0.40646027164707788, -1.070086546193751, 1.8126105210505792, 0.17927771676715865,
                         -0.93179106010278345});
}

TEST(Optimizer, GroupsScaleRatesAndOverrideDecay) {
  Problem problem;
  const Shape one{1, 1, 1, 1};
  for (const char* name : {"classifier.weight", "classifier.bias", "backbone.weight", "backbone.bias"}) {
    const bool bias = std::string(name).ends_with("bias");
    set(problem.add(name, one, bias ? Layout::vector : Layout::oihw, Type::f64).view(), {1.0});
    set(problem.gradients.back(), {1.0});
  }
  OptimizerOptions options;
  options.momentum = 0;
  options.weight_decay = 0.5;
  options.bias = {2, 0.0};
  options.backbone = {0.1, 0.25};
  Optimizer optimizer(options, problem.list());
  optimizer.bind(problem.gradients);
  optimizer.step(0.1, optimizer.check());
  EXPECT_DOUBLE_EQ(get(problem.parameters[0]->view(), 0), 1 - 0.1 * 1.5);
  EXPECT_DOUBLE_EQ(get(problem.parameters[1]->view(), 0), 1 - 0.2 * 1.0);
  EXPECT_DOUBLE_EQ(get(problem.parameters[2]->view(), 0), 1 - 0.01 * 1.25);
  EXPECT_DOUBLE_EQ(get(problem.parameters[3]->view(), 0), 1 - 0.02 * 1.0);
}

// Sizes around the lanes and chunks of the sums.
Problem odd_sizes() {
  Problem problem;
  for (const int64_t count : {1, 7, 9, 65535, 65537, 200001}) {
    const Parameter& p = problem.add(format("p{}", count), {count, 1, 1, 1}, Layout::oihw, Type::f32);
    const Random random(5, p.name);
    for (int64_t i = 0; i < count; ++i) {
      p.view().as<float>()[i] = static_cast<float>(random.normal(static_cast<uint64_t>(i)));
      problem.gradients.back().as<float>()[i] = static_cast<float>(random.normal(static_cast<uint64_t>(i + count)));
    }
  }
  return problem;
}

TEST(Optimizer, NormIsOfAllGradientsTogether) {
  const Problem problem = odd_sizes();
  double sum = 0;
  for (const View& gradient : problem.gradients) {
    for (int64_t i = 0; i < gradient.shape.count(); ++i) sum += std::pow(gradient.as<float>()[i], 2.0);
  }
  Optimizer optimizer({}, problem.list());
  optimizer.bind(problem.gradients);
  EXPECT_NEAR(optimizer.check().norm / std::sqrt(sum), 1, 1e-13);
}

TEST(Optimizer, TheNumberOfThreadsChangesNoBit) {
  std::vector<std::vector<float>> results;
  const int before = thread_count();
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    Problem problem = odd_sizes();
    OptimizerOptions options;
    options.clip_norm = 1;
    Optimizer optimizer(options, problem.list());
    optimizer.bind(problem.gradients);
    for (int step = 0; step < 2; ++step) optimizer.step(0.1, optimizer.check());
    results.emplace_back();
    for (const auto& p : problem.parameters)
      results.back().insert(results.back().end(), p->view().as<float>(), p->view().as<float>() + p->shape.count());
  }
  set_thread_count(before);
  for (const auto& result : results)
    EXPECT_EQ(std::memcmp(result.data(), results[0].data(), result.size() * sizeof(float)), 0);
}

TEST(Optimizer, AnyElementThatIsNotFiniteIsFoundBeforeAnythingChanges) {
  Problem problem = odd_sizes();
  Optimizer optimizer({}, problem.list());
  optimizer.bind(problem.gradients);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const int64_t at : {0, 65535, 65536, 200000}) {
      float& element = problem.gradients.back().as<float>()[at];
      const float good = element, weight = problem.parameters[0]->view().as<float>()[0];
      const uint64_t version = problem.parameters[0]->version;
      element = bad;
      const GradientCheck check = optimizer.check();
      EXPECT_FALSE(check.finite);
      EXPECT_EQ(check.first_bad, "p200001");
      EXPECT_THROW(optimizer.step(0.1, check), DivergedError);
      EXPECT_EQ(problem.parameters[0]->view().as<float>()[0], weight);
      EXPECT_EQ(problem.parameters[0]->version, version);
      EXPECT_EQ(optimizer.steps(), 0);
      element = good;
    }
  }
  problem.gradients[0].as<float>()[0] = std::numeric_limits<float>::max();
  EXPECT_TRUE(optimizer.check().finite) << "large is not infinite";
}

TEST(Optimizer, StepsRaiseVersionsAndStatesAreNamed) {
  Problem problem;
  const Parameter& p = problem.add("conv.weight", {2, 3, 3, 4}, Layout::oihw, Type::f32);
  OptimizerOptions options;
  Optimizer sgd(options, problem.list());
  ASSERT_EQ(sgd.states().size(), 1u);
  EXPECT_EQ(sgd.states()[0]->name, "momentum.conv.weight");
  EXPECT_EQ(sgd.states()[0]->shape, p.shape);
  sgd.bind(problem.gradients);
  const uint64_t version = p.version;
  sgd.step(0.1, sgd.check());
  EXPECT_GT(p.version, version);
  options.name = "adam";
  Optimizer adam(options, problem.list());
  ASSERT_EQ(adam.states().size(), 2u);
  EXPECT_EQ(adam.states()[0]->name, "adam.m.conv.weight");
  EXPECT_EQ(adam.states()[1]->name, "adam.v.conv.weight");
  options.momentum = 0, options.name = "sgd";
  EXPECT_TRUE(Optimizer(options, problem.list()).states().empty());
}

TEST(Optimizer, RefusesWhatDoesNotFit) {
  Problem problem;
  problem.add("conv.weight", {2, 1, 1, 4}, Layout::oihw, Type::f32);
  OptimizerOptions options;
  options.name = "sdg";
  EXPECT_THROW(Optimizer(options, problem.list()), UsageError);
  Optimizer optimizer({}, problem.list());
  EXPECT_THROW(optimizer.bind({}), UsageError);
  EXPECT_THROW(optimizer.bind({window(problem.gradients[0], 0, 0, {1, 1}), View{}}), UsageError);
  EXPECT_THROW(optimizer.bind({image(problem.gradients[0], 0)}), UsageError);
}

}  // namespace
}  // namespace pixelwise
