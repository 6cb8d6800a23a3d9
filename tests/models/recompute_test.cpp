// Networks that compute again what they did not keep: the same bits from less memory.
#include "pixelwise/nn/recompute.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "pixelwise/core/rng.hpp"
#include "pixelwise/models/registry.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/fuse.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {
namespace {

using Bytes = std::vector<std::byte>;

Graph training_graph(const std::string& model) {
  ModelOptions options;
  options.width = 1.0 / 8;
  if (model.starts_with("deeplab")) options.head_channels = 16, options.rates = {1, 2};
  Graph graph;
  Builder b(graph, Phase::training);
  const ValueId image = b.input("image", Type::f32, {2, 97, 81, 3}),
                labels = b.input("labels", Type::u8, {2, 97, 81, 1});
  const ValueId scores = build_model(b, {model, 5, 3, options}, image).scores;
  const ValueId loss = b.softmax_cross_entropy(scores, labels, "loss", {});
  fuse(graph);
  fuse_losses(graph);
  differentiate(graph, loss);
  fuse_moments(graph, Precision::fp32);
  defer_batch_norms(graph);
  return graph;
}

// Loss, gradients and running statistics of a step.
std::vector<Bytes> step_of(const Graph& graph) {
  Parameters parameters;
  parameters.ensure(graph, 1);
  Executor executor(graph, parameters, std::make_shared<Arena>());
  const View image = executor.view("image"), labels = executor.view("labels");
  const Random random(1, "step");
  for (int64_t i = 0; i < image.shape.count(); ++i)
    image.as<float>()[i] = static_cast<float>(random.normal(static_cast<uint64_t>(i)));
  for (int64_t i = 0; i < labels.shape.count(); ++i)
    labels.as<uint8_t>()[i] = static_cast<uint8_t>(random.below(static_cast<uint64_t>(i), 5));
  executor.run();
  std::vector<Bytes> results;
  const auto take = [&](const View& view) {
    const auto* data = view.as<std::byte>();
    results.emplace_back(data, data + view.shape.count() * size_of(view.type));
  };
  take(executor.view("loss"));
  for (const Parameter* p : parameters.all()) take(p->trained ? executor.view("diff." + p->name) : p->view());
  return results;
}

class RecomputedModel : public testing::TestWithParam<const char*> {};

TEST_P(RecomputedModel, GivesTheSameBitsFromLessMemory) {
  const Graph plain = training_graph(GetParam());
  const std::vector<Bytes> wanted = step_of(plain);
  int64_t arena = make_plan(plain, plain.all(), Precision::fp32).arena_bytes;
  for (const Recompute which : {Recompute::cheap, Recompute::all}) {
    Graph graph = plain;
    recompute(graph, which, Precision::fp32);
    const int64_t bytes = make_plan(graph, graph.all(), Precision::fp32).arena_bytes;
    EXPECT_LE(bytes, arena);
    arena = bytes;
    EXPECT_EQ(step_of(graph), wanted);
  }
  EXPECT_LT(arena, make_plan(plain, plain.all(), Precision::fp32).arena_bytes);
}

INSTANTIATE_TEST_SUITE_P(Models, RecomputedModel,
                         testing::Values("deeplabv3plus_mobilenet_v2", "deeplabv3plus_resnet50", "segnet",
                                         "fcn8s_vgg16_bn"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace pixelwise
