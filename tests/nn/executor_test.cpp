#include "pixelwise/nn/executor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "nn/allocations.hpp"
#include "nn/small_net.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

// A network with its parameters, its input filled.
struct Running {
  SmallNet net;
  Parameters own_parameters;
  Parameters& parameters;
  Executor executor;

  Running(const SmallNetOptions& options, std::shared_ptr<Arena> arena, Parameters* shared = nullptr)
      : net(small_net(options)),
        parameters(with(shared ? *shared : own_parameters, net.graph)),
        executor(net.graph, parameters, std::move(arena)) {}
  explicit Running(const SmallNetOptions& options = {}) : Running(options, std::make_shared<Arena>()) {}

  static Parameters& with(Parameters& parameters, const Graph& graph) {
    parameters.ensure(graph, 1);
    return parameters;
  }
  void fill(uint64_t seed) {
    fill_normal(executor.view(net.image), seed);
    fill_labels(executor.view(net.labels), seed);
  }
  double loss() const { return *executor.view(net.loss).as<float>(); }
  /// The gradients of all parameters, one after the other.
  std::vector<Bytes> gradients() const {
    std::vector<Bytes> result;
    for (const Value& value : net.graph.values) {
      if (value.storage == Storage::parameter) result.push_back(bytes_of(executor.view(value.gradient)));
    }
    return result;
  }
  /// w -= 0.1 dw
  void descend() {
    for (const Value& value : net.graph.values) {
      if (value.storage != Storage::parameter) continue;
      Parameter& parameter = parameters.at(value.name);
      const View gradient = executor.view(value.gradient);
      for (int64_t i = 0; i < value.shape.count(); ++i)
        parameter.view().as<float>()[i] -= 0.1f * gradient.as<float>()[i];
      ++parameter.version;
    }
  }
};

TEST(Executor, DescendsTheLoss) {
  Running run({Phase::training, {2, 12, 10, 3}, true, false});
  run.fill(1);
  run.executor.run();
  const double first = run.loss();
  EXPECT_GT(first, 0);
  for (int step = 0; step < 10; ++step) run.executor.run(), run.descend();
  EXPECT_LT(run.loss(), 0.95 * first);
}

TEST(Executor, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = thread_count();
  std::vector<std::vector<Bytes>> results;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    Running run({Phase::training, {3, 20, 18, 3}});
    run.fill(1);
    for (uint64_t step = 0; step < 3; ++step) run.executor.run({1, 0, step}), run.descend();
    results.push_back(run.gradients());
    for (const Parameter* parameter : run.parameters.all()) results.back().push_back(bytes_of(parameter->view()));
  }
  set_thread_count(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Executor, ReplansWhenTheNumberOfThreadsChanges) {
  const int before = thread_count();
  Running run;
  run.fill(1);
  run.executor.run();
  const std::vector<Bytes> gradients = run.gradients();
  set_thread_count(before + 2);
  run.fill(1);
  run.executor.run();
  EXPECT_EQ(run.gradients(), gradients);
  set_thread_count(before);
}

TEST(Executor, AllocatesNothingInAStep) {
#ifdef __SANITIZE_THREAD__
  set_thread_count(1);  // without OpenMP, starting a std::thread allocates
#endif
  Running run;
  run.fill(1);
  run.executor.run();
  const int64_t before = allocations();
  run.executor.run({1, 0, 1}, true);
  run.executor.run({1, 0, 2}, false);
  EXPECT_EQ(allocations(), before);
}

TEST(Executor, AccumulatesOverMicroBatches) {
  // Without batch statistics and dropout, and with a sum for a loss, two micro-batches are one batch.
  SmallNetOptions options{Phase::training, {2, 12, 10, 3}, false, false, Type::f64, LossNormalization::sum};
  Running one(options);
  one.fill(1);
  one.executor.run();
  const Bytes image = bytes_of(one.executor.view(one.net.image)), labels = bytes_of(one.executor.view(one.net.labels));
  options.image.n = 1;
  Running two(options);
  for (const int part : {0, 1}) {
    const View to = two.executor.view(two.net.image), ids = two.executor.view(two.net.labels);
    std::memcpy(to.data, image.data() + part * to.shape.count() * 8, static_cast<size_t>(to.shape.count() * 8));
    std::memcpy(ids.data, labels.data() + part * ids.shape.count(), static_cast<size_t>(ids.shape.count()));
    two.executor.run({}, part == 0);
  }
  for (const Value& value : one.net.graph.values) {
    if (value.storage != Storage::parameter) continue;
    const View wanted = one.executor.view(value.gradient), given = two.executor.view("diff." + value.name);
    for (int64_t i = 0; i < wanted.shape.count(); ++i)
      ASSERT_NEAR(given.as<double>()[i], wanted.as<double>()[i], 1e-10) << value.name << " " << i;
  }
}

TEST(Executor, PoisonChangesNothingInARightGraph) {
  for (const Phase phase : {Phase::training, Phase::inference}) {
    Running plain({phase, {2, 12, 10, 3}}), poisoned({phase, {2, 12, 10, 3}});
    poisoned.executor.set_poison(true);
    for (const bool first : {true, false}) {
      for (Running* run : {&plain, &poisoned}) run->fill(first ? 1 : 2), run->executor.run({1, 0, 0}, first);
      EXPECT_TRUE(std::isfinite(poisoned.loss()));
      EXPECT_EQ(bytes_of(plain.executor.view(plain.net.scores)), bytes_of(poisoned.executor.view(poisoned.net.scores)));
      if (phase == Phase::training) {
        EXPECT_EQ(plain.gradients(), poisoned.gradients());
      }
    }
  }
}

// A node that reads what nobody has written yet: without poison it finds zeros, and nobody notices.
TEST(Executor, PoisonFindsAReadOfADeadValue) {
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId image = b.input("image", Type::f32, {1, 4, 4, 2});
  const ValueId early = b.relu(image, "early");
  const ValueId sum = b.add({early, image}, "sum");
  b.mark_external(sum);
  std::swap(graph.nodes[0], graph.nodes[1]);
  Parameters parameters;
  Executor executor(graph, parameters, std::make_shared<Arena>());
  fill_normal(executor.view(image), 1);
  executor.run();
  EXPECT_TRUE(std::isfinite(executor.view(sum).as<float>()[0]));
  executor.set_poison(true);
  executor.run();
  EXPECT_TRUE(std::isnan(executor.view(sum).as<float>()[0]));
}

TEST(Executor, SharesOneArena) {
  Running alone({Phase::training, {2, 12, 10, 3}, true, false});
  alone.fill(1);
  alone.executor.run();
  const auto arena = std::make_shared<Arena>();
  Running train({Phase::training, {2, 12, 10, 3}, true, false}, arena);
  train.fill(1);
  train.executor.run();
  const int64_t small = arena->bytes();
  Running validate({Phase::inference, {1, 300, 200, 3}}, arena, &train.parameters);  // larger: the block moves
  EXPECT_GT(arena->bytes(), small);
  validate.fill(2);
  validate.executor.run();
  const Bytes scores = bytes_of(validate.executor.view(validate.net.scores));
  const std::vector<float> mean(8, 0);
  for (Parameter* state : train.parameters.all()) {
    if (state->name == "bn1.running_mean") std::memcpy(state->memory.data(), mean.data(), 32);
    if (state->name == "bn1.running_var") initialise(*state, 1);
  }
  train.fill(1);
  train.executor.run();
  EXPECT_EQ(train.gradients(), alone.gradients());
  validate.fill(2);
  validate.executor.run();
  EXPECT_EQ(bytes_of(validate.executor.view(validate.net.scores)), scores);
}

// Packed copies in inference follow the version of the parameters, and another plan in the same block.
TEST(Executor, PacksAgainWhenParametersChange) {
  const auto arena = std::make_shared<Arena>();
  const SmallNetOptions options{Phase::inference, {1, 32, 32, 3}};
  Running run(options, arena);
  run.fill(1);
  run.executor.run();
  Parameter& weight = run.parameters.at("conv1.weight");
  for (int64_t i = 0; i < weight.shape.count(); ++i) weight.view().as<float>()[i] *= 2;
  ++weight.version;
  run.executor.run();
  const Bytes changed = bytes_of(run.executor.view(run.net.scores));
  Running fresh(options, std::make_shared<Arena>(), &run.parameters);
  fresh.fill(1);
  fresh.executor.run();
  EXPECT_EQ(changed, bytes_of(fresh.executor.view(fresh.net.scores)));

  Running other({Phase::inference, {2, 26, 34, 3}}, arena);
  other.fill(3);
  other.executor.run();
  run.fill(1);
  run.executor.run();
  EXPECT_EQ(changed, bytes_of(run.executor.view(run.net.scores)));
}

TEST(Executor, RunsTheForwardPassAlone) {
  Running all, forward;
  all.fill(1), forward.fill(1);
  all.executor.run();
  forward.executor.run(Range{0, forward.net.graph.forward_nodes});
  EXPECT_EQ(all.loss(), forward.loss());
  for (const Bytes& gradient : forward.gradients()) EXPECT_EQ(gradient, Bytes(gradient.size()));
}

TEST(Executor, DropoutDependsOnTheStepAlone) {
  Running run;
  run.fill(1);
  const auto loss_at = [&](const StepKey& key) {
    run.executor.run(key);
    return run.loss();
  };
  const double first = loss_at({1, 0, 0});
  EXPECT_NE(loss_at({1, 0, 1}), first);
  EXPECT_NE(loss_at({2, 0, 0}), first);
  EXPECT_EQ(loss_at({1, 0, 0}), first);
}

TEST(Executor, ErrorsNameTheNodeAndKeepTheirCode) {
  Running run;
  run.fill(1);
  run.executor.view(run.net.labels).as<uint8_t>()[3] = 77;
  try {
    run.executor.run();
    FAIL() << "class 77 of 5 was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    EXPECT_NE(std::string(error.what()).find("node 'loss': "), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("77"), std::string::npos) << error.what();
  }
  EXPECT_THROW(run.executor.view("nothing"), UsageError);
}

TEST(Executor, ProfilesEveryNode) {
  Running run;
  run.fill(1);
  const std::vector<NodeTime> times = run.executor.profile({1, 0, 0});
  ASSERT_EQ(times.size(), run.net.graph.nodes.size());
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].node, run.net.graph.nodes[i].name);
    EXPECT_GE(times[i].ms, 0);
    EXPECT_FALSE(times[i].kernel.empty());
  }
}

TEST(Executor, RefusesAnArenaThatIsTooLargeBeforeAllocating) {
  Graph graph;
  Builder b(graph, Phase::inference);
  b.mark_external(b.relu(b.input("image", Type::f32, {1 << 10, 1 << 15, 1 << 15, 3}), "relu"));
  Parameters parameters;
  EXPECT_THROW(Executor(graph, parameters, std::make_shared<Arena>()), ResourceError);
}

}  // namespace
}  // namespace pixelwise
