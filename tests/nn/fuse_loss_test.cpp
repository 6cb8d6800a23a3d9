// A loss that resizes its scores itself, beside the two nodes apart.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/small_net.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {
namespace {

using Numbers = std::vector<double>;

struct Case {
  ResizeSpec resize;
  SoftmaxCrossEntropySpec loss;
  bool planes = false;
  Shape small{2, 9, 7, 21};
};

// Scores of a small map -> loss, with the gradient of the map.
Graph graph_of(const Case& one, Type type, bool fused) {
  Graph graph;
  Builder b(graph, Phase::training, type);
  const ValueId map = b.input("map", type, one.small);
  const Size size = one.resize.size;
  const ValueId labels = b.input("labels", Type::u8, {one.small.n, size.h, size.w, 1});
  const ValueId denominator = one.loss.shared_denominator ? b.input("denominator", type, {1, 1, 1, 1}) : no_value;
  const ValueId targets = one.planes ? b.one_hot(labels, "targets", {one.small.c, 255, type}) : labels;
  const ValueId loss =
      b.softmax_cross_entropy(b.resize(map, "resize", one.resize), targets, "loss", one.loss, denominator);
  if (fused) fuse_losses(graph);
  differentiate(graph, loss, {map});
  return graph;
}

Numbers numbers_of(const View& view) {
  Numbers numbers;
  for (int64_t i = 0; i < view.shape.count(); ++i)
    numbers.push_back(view.type == Type::f64 ? view.as<double>()[i] : static_cast<double>(view.as<float>()[i]));
  return numbers;
}

// Loss, then the gradient of the map.
Numbers run(const Case& one, Type type, bool fused) {
  const Graph graph = graph_of(one, type, fused);
  Parameters parameters;
  parameters.ensure(graph, 1);
  for (Parameter* weights : parameters.all()) {
    const View view = weights->view();
    for (int64_t c = 0; c < view.shape.c; ++c)
      type == Type::f64 ? view.as<double>()[c] = 0.5 + 0.25 * static_cast<double>(c % 5)
                        : view.as<float>()[c] = 0.5f + 0.25f * static_cast<float>(c % 5);
  }
  Executor executor(graph, parameters, std::make_shared<Arena>());
  executor.set_poison(true);
  fill_normal(executor.view("map"), 3);
  fill_labels(executor.view("labels"), 4, static_cast<uint64_t>(one.small.c));
  if (one.loss.shared_denominator)
    type == Type::f64 ? *executor.view("denominator").as<double>() = 77
                      : *executor.view("denominator").as<float>() = 77;
  executor.run();
  Numbers result = numbers_of(executor.view("loss"));
  const Numbers gradient = numbers_of(executor.view("diff.map"));
  result.insert(result.end(), gradient.begin(), gradient.end());
  return result;
}

std::vector<Case> cases() {
  const auto bilinear = Interpolation::bilinear, nearest = Interpolation::nearest;
  std::vector<Case> all;
  for (const ResizeSpec& resize : {ResizeSpec{{65, 49}, bilinear, true}, ResizeSpec{{36, 28}, bilinear},
                                   ResizeSpec{{40, 50}, nearest}, ResizeSpec{{4, 5}, bilinear}, ResizeSpec{{9, 7}}}) {
    for (const LossNormalization normalize :
         {LossNormalization::mean, LossNormalization::sum, LossNormalization::batch}) {
      for (const bool planes : {false, true}) {
        for (const bool weighted : {false, true})
          all.push_back({resize, {normalize, weighted ? 0.1 : 0, 255, weighted, planes && weighted}, planes});
      }
    }
  }
  all.push_back({{{33, 70}}, {}, false, {3, 5, 9, 2}});     // two classes
  all.push_back({{{20, 30}}, {}, false, {1, 1, 1, 40}});    // from one pixel
  all.push_back({{{130, 99}}, {}, true, {2, 40, 30, 19}});  // strips of several rows
  return all;
}

double difference(const Numbers& a, const Numbers& b) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(a[i]));
  }
  return std::isfinite(worst) ? worst / largest : INFINITY;
}

TEST(FuseLosses, ComputesWhatTheNodesApartCompute) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(to_string(one.resize.size));
    const Numbers wanted = run(one, Type::f64, false);
    EXPECT_LT(difference(wanted, run(one, Type::f64, true)), 1e-13);
    EXPECT_LT(difference(wanted, run(one, Type::f32, true)), 2e-6);
    EXPECT_LT(difference(wanted, run(one, Type::f32, false)), 2e-6);
  }
}

TEST(FuseLosses, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = thread_count();
  for (const Case& one : cases()) {
    std::vector<Numbers> results;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      results.push_back(run(one, Type::f32, true));
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
  set_thread_count(before);
}

TEST(FuseLosses, LeavesNothingOfThePhotosSize) {
  const Case one{{{256, 256}}, {}, true, {1, 16, 16, 21}};
  const Graph graph = graph_of(one, Type::f32, true), apart = graph_of(one, Type::f32, false);
  EXPECT_EQ(graph.nodes.size(), 2U);  // the loss and its gradient
  const int64_t plane = 256 * 256 * 21 * 4;
  EXPECT_GT(make_plan(apart, apart.all(), Precision::fp32).arena_bytes, 2 * plane);
  EXPECT_LT(make_plan(graph, graph.all(), Precision::fp32).arena_bytes, plane / 2);
}

// What others read, or is read from outside.
TEST(FuseLosses, LeavesScoresThatOthersRead) {
  for (const bool external : {false, true}) {
    Graph graph;
    Builder b(graph, Phase::training);
    const ValueId map = b.input("map", Type::f32, {1, 4, 4, 3}), labels = b.input("labels", Type::u8, {1, 8, 8, 1});
    const ValueId scores = b.resize(map, "resize", {{8, 8}});
    if (external) b.mark_external(scores);
    if (!external) b.mark_external(b.argmax(scores, "prediction"));
    const ValueId targets = b.one_hot(labels, "targets", {3});
    b.mark_external(targets);
    b.softmax_cross_entropy(scores, targets, "loss", {});
    const size_t nodes = graph.nodes.size();
    fuse_losses(graph);
    EXPECT_EQ(graph.nodes.size(), nodes) << "the planes are looked at, too";
    EXPECT_FALSE(std::get<SoftmaxCrossEntropySpec>(graph.nodes.back().spec).resizes());
  }
}

}  // namespace
}  // namespace pixelwise
