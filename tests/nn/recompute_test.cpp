// Gradient checkpointing: the same bits from less memory.
#include "pixelwise/nn/recompute.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/allocations.hpp"
#include "nn/small_net.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {
namespace {

// Units of all kinds: pooled and unpooled, a residual sum of normalised maps, depthwise, dropout, a pooled image that
// is concatenated, a batch norm with constant statistics, scores that are resized; and two losses.
Graph net(Type type, bool losses_fused = true, Shape shape = {2, 24, 20, 3}) {
  Graph graph;
  Builder b(graph, Phase::training, type);
  const ValueId image = b.input("image", type, shape),
                labels = b.input("labels", Type::u8, {shape.n, shape.h, shape.w, 1});
  const auto unit = [&](ValueId x, const std::string& name, const Conv2dSpec& spec) {
    return b.batch_norm(b.conv2d(x, name + ".conv", spec), name);
  };
  const Conv2dSpec same{8, {3, 3}, {1, 1}, {1, 1}};
  Conv2dSpec depthwise = same;
  depthwise.groups = 8;
  ValueId x = b.relu(unit(image, "n1", same), "r1");
  const Builder::Pooled pooled = b.max_pool2d(x, "pool", {});
  x = b.max_unpool2d(pooled, b.relu6(unit(pooled.map, "n2", same), "r2"), "unpool",
                     {{2, 2}, {2, 2}, {0, 0}, shape.size()});
  x = b.relu(b.add({unit(x, "n3", same), unit(x, "n4", {8})}, "sum"), "r3");
  x = b.relu(unit(x, "n5", depthwise), "r5");
  x = b.dropout(b.relu(unit(x, "n6", {8, {3, 3}, {2, 2}, {1, 1}}), "r6"), "drop", 0.3);
  const ValueId middle = x;
  const ValueId mean = b.relu(
      b.batch_norm(b.conv2d(b.global_avg_pool(x, "mean"), "mean.conv", {8}), "n7", 1e-5, 0.1, Phase::inference), "r7");
  x = b.concat({x, b.resize(mean, "mean.resize", {b.at(x).shape.size()})}, "concat");
  x = b.relu(unit(x, "n8", same), "r8");
  const auto loss_of = [&](ValueId map, const std::string& name) {
    const ValueId scores = b.resize(b.conv2d(map, name + ".score", {5}), name + ".resize", {shape.size()});
    return b.softmax_cross_entropy(scores, b.one_hot(labels, name + ".targets", {5, 255, type}), name, {});
  };
  const ValueId loss = b.weighted_sum({loss_of(x, "main"), loss_of(middle, "aux")}, {1, 0.5}, "loss");
  fuse(graph);
  if (losses_fused) fuse_losses(graph);
  differentiate(graph, loss);
  fuse_moments(graph, Precision::fp32);
  defer_batch_norms(graph);
  return graph;
}

// Loss, gradients and running statistics after two steps, the second of which is added to the first.
std::vector<Bytes> results_of(const Graph& graph, bool poison = true) {
  Parameters parameters;
  parameters.ensure(graph, 1);
  Executor executor(graph, parameters, std::make_shared<Arena>());
  executor.set_poison(poison);
  for (uint64_t step = 0; step < 2; ++step) {
    fill_normal(executor.view("image"), step + 1);
    fill_labels(executor.view("labels"), step + 1);
    executor.run({1, 0, step}, step == 0);
  }
  std::vector<Bytes> results{bytes_of(executor.view("loss"))};
  for (const Parameter* p : parameters.all())
    results.push_back(bytes_of(p->trained ? executor.view("diff." + p->name) : p->view()));
  return results;
}

int64_t replays(const Graph& graph, bool convolutions) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    return node.replay && std::holds_alternative<Conv2dSpec>(node.spec) == convolutions;
  });
}

TEST(Recompute, GivesTheSameBits) {
  for (const char* kernels : {"", "definition"}) {
    force_kernels(kernels);
    for (const Type type : {Type::f32, Type::f64}) {
      const Graph plain = net(type);
      const std::vector<Bytes> wanted = results_of(plain);
      for (const Recompute which : {Recompute::cheap, Recompute::all}) {
        for (const int segments : {2, 3, 5}) {
          Graph graph = plain;
          recompute(graph, which, segments);
          EXPECT_GT(replays(graph, false), 0) << segments;
          EXPECT_EQ(replays(graph, true) > 0, which == Recompute::all) << segments;
          EXPECT_EQ(graph.forward_nodes, plain.forward_nodes);
          EXPECT_EQ(results_of(graph), wanted) << segments << " segments, kernels '" << kernels << "'";
        }
      }
    }
  }
  force_kernels("");
}

TEST(Recompute, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = thread_count();
  Graph graph = net(Type::f32);
  recompute(graph, Recompute::all, 3);
  std::vector<std::vector<Bytes>> results;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    results.push_back(results_of(graph, false));
  }
  set_thread_count(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

// d loss / d direction by central differences, through all parameters at once.
TEST(Recompute, GradientsAgreeWithFiniteDifferences) {
  Graph graph = net(Type::f64);
  recompute(graph, Recompute::all, 3);
  Parameters parameters;
  parameters.ensure(graph, 1);
  Executor executor(graph, parameters, std::make_shared<Arena>());
  const auto loss_at = [&](double step) {
    const auto move = [&](double by) {
      for (Parameter* p : parameters.all()) {
        if (!p->trained) continue;
        const Random direction(5, p->name);
        for (int64_t i = 0; i < p->shape.count(); ++i)
          p->view().as<double>()[i] += by * direction.normal(static_cast<uint64_t>(i));
        ++p->version;
      }
    };
    move(step);
    fill_normal(executor.view("image"), 1);
    fill_labels(executor.view("labels"), 1);
    executor.run();
    move(-step);
    return *executor.view("loss").as<double>();
  };
  const double slope = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6;
  loss_at(0);
  double product = 0;
  for (const Parameter* p : parameters.all()) {
    if (!p->trained) continue;
    const Random direction(5, p->name);
    for (int64_t i = 0; i < p->shape.count(); ++i)
      product += executor.view("diff." + p->name).as<double>()[i] * direction.normal(static_cast<uint64_t>(i));
  }
  EXPECT_GT(std::abs(slope), 1e-3);
  EXPECT_NEAR(product, slope, 1e-6 * std::abs(slope));
}

TEST(Recompute, KeepsLessInMemory) {
  const Graph plain = net(Type::f32, true, {2, 96, 80, 3});
  const auto arena = [](const Graph& graph) { return make_plan(graph, graph.all(), Precision::fp32).arena_bytes; };
  Graph cheap = plain, all = plain, none = plain;
  recompute(cheap, Recompute::cheap, Precision::fp32);
  recompute(all, Recompute::all, Precision::fp32);
  recompute(none, Recompute::none, Precision::fp32);
  EXPECT_LE(arena(cheap), arena(plain));
  EXPECT_LT(arena(all), arena(plain));
  EXPECT_EQ(none.nodes.size(), plain.nodes.size());
  EXPECT_EQ(results_of(all), results_of(plain));
}

TEST(Recompute, AllocatesNothingInAStep) {
#ifdef __SANITIZE_THREAD__
  set_thread_count(1);  // without OpenMP, starting a std::thread allocates
#endif
  Graph graph = net(Type::f32);
  recompute(graph, Recompute::all, 4);
  Parameters parameters;
  parameters.ensure(graph, 1);
  Executor executor(graph, parameters, std::make_shared<Arena>());
  fill_labels(executor.view("labels"), 1);
  executor.run();
  const int64_t before = allocations();
  executor.run({1, 0, 1}, true);
  executor.run({1, 0, 2}, false);
  EXPECT_EQ(allocations(), before);
}

// Parameters and warnings are those of the network, however often its nodes run.
TEST(Recompute, IsDescribedAsWorkNotAsParameters) {
  const Graph plain = net(Type::f32);
  Graph graph = plain;
  recompute(graph, Recompute::all, 3);
  const auto rows = [](const Graph& g) { return node_rows(g, make_plan(g, g.all(), Precision::fp32), g.all()); };
  const auto parameters = [](const std::vector<NodeRow>& all) {
    int64_t sum = 0;
    for (const NodeRow& row : all) sum += row.parameters;
    return sum;
  };
  EXPECT_EQ(parameters(rows(graph)), parameters(rows(plain)));
  EXPECT_GT(total_flops(graph, graph.all()), total_flops(plain, plain.all()));
}

}  // namespace
}  // namespace pixelwise
