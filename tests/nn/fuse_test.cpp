#include "pixelwise/nn/fuse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "nn/small_net.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {
namespace {

// A residual block (He et al. 2016) with a shortcut of its own, and one without; then an upsampling.
Graph residual_graph(Phase phase, Type type, bool fused = true) {
  Graph graph;
  Builder b(graph, phase, type);
  const ValueId image = b.input("image", type, {2, 9, 11, 8});
  const auto unit = [&](ValueId x, const std::string& name, const Conv2dSpec& spec) {
    return b.batch_norm(b.conv2d(x, name, spec), name + ".norm", name == "a" ? 1e-2 : 1e-5);
  };
  ValueId x = unit(b.relu(unit(image, "a", {16, {3, 3}, {1, 1}, {1, 1}}), "a.relu"), "b", {24});
  x = b.relu(b.add({x, unit(image, "shortcut", {24})}, "sum"), "sum.relu");
  Conv2dSpec depthwise{24, {3, 3}, {1, 1}, {1, 1}};
  depthwise.groups = 24;
  x = b.add({x, unit(b.relu6(unit(x, "c", depthwise), "c.relu6"), "d", {24})}, "second");
  x = b.batch_norm(b.conv_transpose2d(x, "up", {5, {4, 4}, {2, 2}, {1, 1}}), "up.norm");
  b.mark_external(x);
  graph.at(x).name = "result";
  if (fused) fuse(graph);
  return graph;
}

void fill(Parameters& parameters) {
  for (Parameter* parameter : parameters.all()) {
    const Random random(7, parameter->name);
    for (int64_t i = 0; i < parameter->shape.count(); ++i) {
      const double value = 0.2 + random.uniform(static_cast<uint64_t>(i));
      const View view = parameter->view();
      view.type == Type::f64 ? view.as<double>()[i] = value : view.as<float>()[i] = static_cast<float>(value);
    }
    ++parameter->version;
  }
}

std::vector<double> numbers_of(const View& view) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < view.shape.count(); ++i)
    numbers.push_back(view.type == Type::f64 ? view.as<double>()[i] : static_cast<double>(view.as<float>()[i]));
  return numbers;
}

std::vector<double> run(Executor& executor) {
  fill_normal(executor.view("image"), 3);
  executor.run();
  return numbers_of(executor.view("result"));
}

double difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(a[i]));
  }
  return worst / largest;
}

template <class Spec>
int64_t count(const Graph& graph) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(),
                       [](const Node& node) { return std::holds_alternative<Spec>(node.spec); });
}

TEST(Fold, ComputesTheSameWithConvolutionsAlone) {
  for (const Type type : {Type::f64, Type::f32}) {
    const Graph plain = residual_graph(Phase::inference, type);
    Graph folded = plain;
    fold(folded);
    EXPECT_EQ(count<BatchNormSpec>(plain), 6);
    EXPECT_EQ(count<AddSpec>(plain), 2);
    EXPECT_EQ(folded.nodes.size(), 6U);
    EXPECT_EQ(count<Conv2dSpec>(folded) + count<ConvTranspose2dSpec>(folded), 6);
    Parameters parameters;
    parameters.ensure(plain, 1);
    fill(parameters);
    Executor one(plain, parameters, std::make_shared<Arena>()), other(folded, parameters, std::make_shared<Arena>());
    other.set_poison(true);
    EXPECT_LT(difference(run(one), run(other)), type == Type::f64 ? 1e-13 : 1e-5);
  }
}

TEST(Fold, FollowsItsParameters) {
  Graph graph = residual_graph(Phase::inference, Type::f32);
  fold(graph);
  Parameters parameters;
  parameters.ensure(graph, 1);
  fill(parameters);
  Executor executor(graph, parameters, std::make_shared<Arena>());
  const std::vector<double> before = run(executor);
  Parameter& variance = parameters.at("up.norm.running_var");
  for (int64_t i = 0; i < variance.shape.count(); ++i) variance.view().as<float>()[i] *= 4;
  ++variance.version;
  EXPECT_GT(difference(before, run(executor)), 0.1);
}

// With all parameters and the image filled, and dead memory poisoned.
Executor executor_of(const Graph& graph, Parameters& parameters) {
  parameters.ensure(graph, 1);
  fill(parameters);
  Executor executor(graph, parameters, std::make_shared<Arena>());
  executor.set_poison(true);
  fill_normal(executor.view("image"), 3);
  return executor;
}

// The result, and the gradients of the image and of all parameters.
std::vector<std::vector<double>> step(Graph graph) {
  differentiate_from(graph, {graph.find("result")}, {graph.find("image")});
  Parameters parameters;
  Executor executor = executor_of(graph, parameters);
  fill_normal(executor.view("diff.result"), 4);
  executor.run();
  std::vector<std::vector<double>> results{numbers_of(executor.view("result"))};
  results.push_back(numbers_of(executor.view(graph.at(graph.find("image")).gradient)));
  for (const Parameter* p : parameters.all()) {
    // A bias before batch norm has the gradient 0, and rounding.
    if (p->trained && (p->name.ends_with("norm.bias") || !p->name.ends_with(".bias")))
      results.push_back(numbers_of(executor.view("diff." + p->name)));
  }
  return results;
}

TEST(Fuse, BatchNormsOfTheBatchAddAndActivate) {
  for (const Type type : {Type::f64, Type::f32}) {
    const Graph plain = residual_graph(Phase::training, type, false), fused = residual_graph(Phase::training, type);
    EXPECT_EQ(count<AddSpec>(plain), 2);
    EXPECT_EQ(count<AddSpec>(fused), 0);
    EXPECT_EQ(count<ActivationSpec>(fused), 0);
    const auto wanted = step(plain), given = step(fused);
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_LT(difference(wanted[i], given[i]), type == Type::f64 ? 1e-12 : 1e-4) << i;
  }
}

TEST(Fold, LeavesStatisticsOfTheBatchAlone) {
  Graph graph = residual_graph(Phase::training, Type::f32);
  const size_t nodes = graph.nodes.size();
  fold(graph);
  EXPECT_EQ(graph.nodes.size(), nodes);
  EXPECT_EQ(count<BatchNormSpec>(graph), 6);
}

// What others read, what is read from outside, and what is not there in time.
TEST(Fold, LeavesResultsThatOthersRead) {
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId image = b.input("image", Type::f32, {1, 6, 6, 4});
  const ValueId read_twice = b.conv2d(image, "read_twice", {4}), shown = b.conv2d(image, "shown", {4});
  b.mark_external(shown);
  const ValueId sum = b.add({b.batch_norm(read_twice, "n1"), b.batch_norm(shown, "n2")}, "sum");
  const ValueId early = b.conv2d(image, "early", {4});
  const ValueId late = b.relu(b.conv2d(sum, "late", {4}), "late.relu");  // has an activation before the sum
  b.mark_external(b.add({early, late}, "early_and_late"));
  b.mark_external(b.add({read_twice, read_twice}, "twice"));
  fuse(graph);
  const size_t nodes = graph.nodes.size();
  fold(graph);
  EXPECT_EQ(graph.nodes.size(), nodes);
}

// Convolutions that Winograd serves, with odd maps, each pooled: to `floor` sizes, and with `ceil`.
Graph pooled_graph(Type type) {
  Graph graph;
  Builder b(graph, Phase::inference, type);
  const ValueId image = b.input("image", type, {2, 47, 53, 32});
  const Conv2dSpec conv{33, {3, 3}, {1, 1}, {1, 1}};
  ValueId x = b.relu(b.batch_norm(b.conv2d(image, "a", conv), "a.norm"), "a.relu");
  x = b.max_pool2d(x, "floor", {{2, 2}, {2, 2}, {0, 0}, false}).map;
  x = b.max_pool2d(b.conv2d(x, "b", conv), "ceil", {{2, 2}, {2, 2}, {0, 0}, true}).map;  // 23x26
  b.mark_external(x);
  graph.at(x).name = "result";
  fuse(graph);
  fold(graph);
  return graph;
}

TEST(FoldMaxPools, ComputesTheSame) {
  for (const Type type : {Type::f64, Type::f32}) {
    const Graph plain = pooled_graph(type);
    Graph folded = plain;
    fold_max_pools(folded, Precision::fp32);
    EXPECT_EQ(count<MaxPool2dSpec>(plain), 2);
    const bool forced = std::getenv("PIXELWISE_KERNELS") != nullptr || isa() == Isa::amx;
    if (type == Type::f64 || !forced) {
      EXPECT_EQ(count<MaxPool2dSpec>(folded), 0);
    }
    EXPECT_EQ(total_flops(plain, plain.all()), total_flops(folded, folded.all()));
    Parameters parameters, same;
    Executor one = executor_of(plain, parameters), other = executor_of(folded, same);
    one.run(), other.run();
    EXPECT_EQ(numbers_of(one.view("result")), numbers_of(other.view("result")));
  }
}

// An executor of another precision, or with other kernels, than the graph was folded for computes the same.
TEST(FoldMaxPools, ServesWhateverRuns) {
  Graph folded = pooled_graph(Type::f32);
  const Graph plain = folded;
  fold_max_pools(folded, Precision::fp32);
  Parameters parameters;
  Executor one = executor_of(plain, parameters);
  one.run();
  Executor strict(folded, parameters, std::make_shared<Arena>(), Precision::strict);
  EXPECT_LT(difference(numbers_of(one.view("result")), run(strict)), 1e-4);
}

TEST(FoldMaxPools, LeavesWhatOthersReadOrNoKernelPools) {
  if (std::getenv("PIXELWISE_KERNELS")) GTEST_SKIP() << "other kernels are forced";
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId image = b.input("image", Type::f32, {1, 48, 48, 32});
  const Conv2dSpec conv{32, {3, 3}, {1, 1}, {1, 1}};
  const MaxPool2dSpec halves;
  const ValueId twice = b.conv2d(image, "twice", conv), shown = b.conv2d(image, "shown", conv);
  b.mark_external(shown);
  const Builder::Pooled indexed = b.max_pool2d(b.conv2d(image, "indexed", conv), "p1", halves);
  b.mark_external(b.max_unpool2d(indexed, indexed.map, "unpool", {{2, 2}, {2, 2}, {0, 0}, {48, 48}}));
  b.mark_external(b.max_pool2d(twice, "p2", halves).map);
  b.mark_external(b.relu(twice, "relu"));
  b.mark_external(b.max_pool2d(shown, "p3", halves).map);
  b.mark_external(b.max_pool2d(b.conv2d(image, "overlapping", conv), "p4", {{3, 3}, {2, 2}, {1, 1}}).map);
  b.mark_external(b.max_pool2d(b.conv2d(image, "padded", conv), "p5", {{2, 2}, {2, 2}, {1, 1}}).map);
  b.mark_external(b.max_pool2d(b.conv2d(image, "pointwise", {32}), "p6", halves).map);
  b.mark_external(b.max_pool2d(b.conv2d(image, "atrous", {32, {3, 3}, {1, 1}, {2, 2}, {2, 2}}), "p7", halves).map);
  fuse(graph);
  fold(graph);
  fold_max_pools(graph, Precision::fp32);
  EXPECT_EQ(count<MaxPool2dSpec>(graph), 7);

  Graph strict = pooled_graph(Type::f32);
  fold_max_pools(strict, Precision::strict);
  EXPECT_EQ(count<MaxPool2dSpec>(strict), 2);
}

// Batch norms before a Winograd, a strided, a 1x1, a grouped and a transposed convolution, a depthwise one and a
// pooling.
Graph normalised_graph(Type type) {
  Graph graph;
  Builder b(graph, Phase::training, type);
  const ValueId image = b.input("image", type, {2, 13, 11, 5}), labels = b.input("labels", Type::u8, {2, 14, 12, 1});
  int units = 0;
  const auto unit = [&](ValueId x, const Conv2dSpec& spec) {
    const std::string name = "n" + std::to_string(++units);
    return b.batch_norm(b.conv2d(x, name + ".conv", spec), name);
  };
  ValueId x = b.relu(unit(image, {32, {3, 3}, {1, 1}, {1, 1}}), "r1");                   // n1 -> Winograd
  x = b.relu6(unit(x, {32, {3, 3}, {1, 1}, {1, 1}}), "r2");                              // n2 -> stride 2
  const ValueId half = unit(b.relu(unit(x, {24, {3, 3}, {2, 2}, {1, 1}}), "r3"), {18});  // n3 -> 1x1, n4 -> two
  x = b.relu(unit(half, {18, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 18}), "r5");                // n5 -> pool
  x = b.conv2d(b.concat({b.max_pool2d(x, "pool", {{3, 3}, {1, 1}, {1, 1}}).map, half}, "both"), "last", {20});
  x = b.conv_transpose2d(b.relu(b.batch_norm(x, "n6"), "r6"), "up", {7, {4, 4}, {2, 2}, {1, 1}});
  const ValueId loss = b.softmax_cross_entropy(x, labels, "loss", {});
  fuse(graph);
  differentiate(graph, loss);
  return graph;
}

TEST(DeferBatchNorms, ConvolutionsNormaliseWhatTheyRead) {
  Graph graph = normalised_graph(Type::f32);
  defer_batch_norms(graph);
  std::string deferred;
  for (const Node& node : graph.nodes) {
    if (std::holds_alternative<BatchNormSpec>(node.spec) && graph.at(node.dst[0].value).deferred)
      deferred += node.name + " ";
  }
  EXPECT_EQ(deferred, "n1 n2 n3 n6 ");
  const Graph plain = normalised_graph(Type::f32);
  EXPECT_LT(make_plan(graph, graph.all(), Precision::fp32).arena_bytes,
            make_plan(plain, plain.all(), Precision::fp32).arena_bytes);
}

// Gradients and running statistics are the same after `pass` has changed the graph.
void expect_same_results(void (*pass)(Graph&)) {
  for (const Type type : {Type::f64, Type::f32}) {
    for (const char* kernels : {"", "im2col", "implicit_gemm,depthwise", "definition"}) {
      if (type == Type::f64 && *kernels) continue;
      force_kernels(kernels);
      const Graph plain = normalised_graph(type);
      Graph changed = plain;
      pass(changed);
      std::vector<std::vector<double>> results;
      for (const Graph& graph : {plain, changed}) {
        Parameters parameters;
        Executor executor = executor_of(graph, parameters);
        fill_labels(executor.view("labels"), 4);
        executor.run();
        size_t i = 0;
        for (const Parameter* p : parameters.all()) {
          const std::vector<double> values = numbers_of(p->trained ? executor.view("diff." + p->name) : p->view());
          if (i == results.size()) results.emplace_back();
          // A bias before batch norm has the gradient 0, and rounding.
          const bool nothing = p->name.ends_with(".conv.bias") || p->name == "last.bias";
          if (results[i].empty()) {
            results[i] = values;
          } else if (!nothing) {
            EXPECT_LT(difference(results[i], values), type == Type::f64 ? 1e-11 : 1e-4) << p->name << " " << kernels;
          }
          ++i;
        }
      }
    }
  }
  force_kernels("");
}

TEST(DeferBatchNorms, NothingElseChanges) { expect_same_results(defer_batch_norms); }

std::string summed_by_their_kernels(const Graph& graph) {
  std::string names;
  for (const Node& node : graph.nodes) names += node.moments ? node.name + " " : "";
  return names;
}

TEST(FuseMoments, ConvolutionsTakeThem) {
  force_kernels("implicit_gemm,depthwise");
  Graph graph = normalised_graph(Type::f32);
  fuse_moments(graph, Precision::fp32);
  EXPECT_EQ(summed_by_their_kernels(graph), "n1.conv n2.conv n3.conv n4.conv n5.conv last ");
  for (const Node& node : graph.nodes) {
    const bool norm = std::holds_alternative<BatchNormSpec>(node.spec) && node.pass == Pass::forward;
    EXPECT_TRUE(!norm || node.src.size() == 2) << node.name;
  }
  force_kernels("");
}

TEST(FuseMoments, OnlyWhereTheBestKernelCan) {
  force_kernels("im2col");
  Graph graph = normalised_graph(Type::f32);
  fuse_moments(graph, Precision::fp32);
  EXPECT_EQ(summed_by_their_kernels(graph), "n5.conv ");  // depthwise, which im2col does not serve
  force_kernels("");
}

TEST(FuseMoments, NothingElseChanges) {
  expect_same_results([](Graph& graph) { fuse_moments(graph, Precision::fp32); });
  expect_same_results([](Graph& graph) {
    fuse_moments(graph, Precision::fp32);
    defer_batch_norms(graph);
  });
}

}  // namespace
}  // namespace pixelwise
