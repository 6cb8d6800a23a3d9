#include "pixelwise/nn/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "nn/small_net.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

struct Block {
  int64_t offset, bytes;
  std::string name;
};

std::set<ValueId> operands(const Node& node) {
  std::set<ValueId> ids;
  for_each_read(node, [&](ValueId id) { ids.insert(id); });
  for (const Output& output : node.dst) ids.insert(output.value);
  return ids;
}

// All blocks that must be intact while node `now` runs, by the definition: touched at or before it, and at or after it
// (external values and gradients of parameters: always).
std::vector<Block> alive(const Graph& graph, const Plan& plan, int now) {
  std::set<ValueId> before, after, parameter_gradients;
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    for (const ValueId id : operands(graph.nodes[static_cast<size_t>(i)])) {
      if (i <= now) before.insert(id);
      if (i >= now) after.insert(id);
    }
  }
  for (const Value& value : graph.values) {
    if (value.storage == Storage::parameter) parameter_gradients.insert(value.gradient);
  }
  std::vector<Block> blocks;
  for (ValueId id = 0; id < static_cast<ValueId>(graph.values.size()); ++id) {
    const Value& value = graph.at(id);
    const bool kept = (value.external || parameter_gradients.count(id)) && (before.count(id) || after.count(id));
    if (value.storage == Storage::arena && (kept || (before.count(id) && after.count(id))))
      blocks.push_back({plan.offset[static_cast<size_t>(id)], value_bytes(graph, plan, id), value.name});
  }
  const auto node = static_cast<size_t>(now);
  if (plan.scratch_offset[node] >= 0)
    blocks.push_back({plan.scratch_offset[node], plan.kernels[node].scratch_bytes, "scratch"});
  if (plan.packed_offset[node] >= 0)
    blocks.push_back({plan.packed_offset[node], plan.kernels[node].packed_bytes, "packed"});
  if (plan.folded_offset[node] >= 0)
    blocks.push_back({plan.folded_offset[node], folded_bytes(graph, graph.nodes[node]), "folded"});
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.offset < b.offset; });
  return blocks;
}

void check(const Graph& graph) {
  const Plan plan = make_plan(graph, graph.all(), Precision::fp32);
  int64_t largest = 0;
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    int64_t end = 0, bytes = 0;
    for (const Block& block : alive(graph, plan, i)) {
      ASSERT_GE(block.offset, end) << block.name << " overlaps at node " << graph.nodes[static_cast<size_t>(i)].name;
      ASSERT_EQ(block.offset % 64, 0) << block.name;
      end = block.offset + block.bytes;
      bytes += round_up(block.bytes, 64);
    }
    ASSERT_LE(end, plan.arena_bytes);
    largest = std::max(largest, bytes);
  }
  EXPECT_GE(plan.largest_moment, largest);  // packed weights of inference count at every node
  EXPECT_GE(plan.arena_bytes, plan.largest_moment);
}

TEST(Plan, LiveBlocksNeverOverlap) {
  for (const Phase phase : {Phase::training, Phase::inference}) {
    for (const Shape& image : {Shape{1, 2, 2, 3}, Shape{2, 12, 10, 3}, Shape{3, 34, 62, 1}}) {
      for (const bool normalise : {false, true}) check(small_net({phase, image, normalise}).graph);
    }
  }
}

TEST(Plan, SkipsAndBranchesNeverOverlap) {
  Graph graph;
  Builder b(graph, Phase::training);
  const ValueId image = b.input("image", Type::f32, {1, 16, 16, 3});
  const ValueId labels = b.input("labels", Type::u8, {1, 16, 16, 1});
  ValueId x = b.conv2d(image, "stem", {4, {3, 3}, {1, 1}, {1, 1}});
  std::vector<ValueId> skips;
  for (const char* name : {"a", "b", "c", "d"}) {
    const ValueId y = b.relu(b.conv2d(x, name, {4, {3, 3}, {1, 1}, {1, 1}}), name + std::string("_relu"));
    x = b.add({x, y}, name + std::string("_sum"));
    skips.push_back(y);
  }
  const ValueId scores = b.conv2d(b.concat(skips, "concat"), "score", {3});
  const ValueId loss = b.softmax_cross_entropy(scores, labels, "loss", {});
  fuse(graph);
  differentiate(graph, loss);
  check(graph);
}

// In a chain only two neighbours are alive at once; the arena must be close to that, whatever the length.
TEST(Plan, ChainTakesTheMemoryOfItsLargestNeighbours) {
  Graph graph;
  Builder b(graph, Phase::inference);
  ValueId x = b.input("image", Type::f32, {1, 64, 64, 4});
  const Random random(1, "chain");
  int64_t all = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "node" + std::to_string(i);
    x = b.resize(x, name, {{static_cast<int64_t>(8 + random.below(static_cast<uint64_t>(i), 120)), 64}});
    all += graph.at(x).shape.count() * 4;
  }
  const Plan plan = make_plan(graph, graph.all(), Precision::fp32);
  EXPECT_GE(plan.arena_bytes, plan.largest_moment);
  EXPECT_LE(static_cast<double>(plan.arena_bytes), 1.25 * static_cast<double>(plan.largest_moment));
  EXPECT_LT(plan.arena_bytes, all / 5);
}

TEST(Plan, ForwardAloneNeedsLessThanTraining) {
  const Graph graph = small_net({Phase::training, {4, 64, 64, 3}}).graph;
  const Plan forward = make_plan(graph, {0, graph.forward_nodes}, Precision::fp32);
  const Plan all = make_plan(graph, graph.all(), Precision::fp32);
  EXPECT_LT(forward.arena_bytes, all.arena_bytes);
}

// Pixels a multiple of a page apart alias: maps get a cache line more; what others see stays dense.
TEST(Plan, PixelsDoNotLieWholePagesApart) {
  Graph graph;
  Builder b(graph, Phase::training);
  const ValueId image = b.input("image", Type::f32, {1, 3, 4, 1024});
  const ValueId wide = b.conv2d(image, "wide", {2048}), pooled = b.max_pool2d(wide, "pool", {}).map;
  const ValueId scores = b.conv2d(b.resize(pooled, "up", {{3, 4}}), "scores", {3});
  differentiate(graph, b.softmax_cross_entropy(scores, b.input("labels", Type::u8, {1, 3, 4, 1}), "loss", {}));
  check(graph);
  const Plan plan = make_plan(graph, graph.all(), Precision::fp32);
  const auto stride = [&](ValueId id) { return plan.pixel_stride[static_cast<size_t>(id)]; };
  EXPECT_EQ(stride(wide), 2064);
  EXPECT_EQ(stride(graph.at(wide).gradient), 2064);
  EXPECT_EQ(stride(pooled), 2064);
  EXPECT_EQ(value_bytes(graph, plan, wide), 3 * 4 * 2064 * 4);
  EXPECT_EQ(stride(image), 1024);  // filled from outside
  EXPECT_EQ(stride(scores), 3);
  for (const Value& value : graph.values) {
    if (value.storage != Storage::parameter) continue;
    EXPECT_EQ(stride(value.gradient), value.shape.c) << value.name;
  }
  std::byte memory[1] = {};
  const View view = value_view(graph, plan, wide, memory - plan.offset[static_cast<size_t>(wide)]);
  EXPECT_EQ(view.data, memory);
  EXPECT_EQ(view.shape, (Shape{1, 3, 4, 2048}));
  EXPECT_EQ(view.pixel_stride, 2064);
}

TEST(Plan, CountsBytesByElementType) {
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId image = b.input("image", Type::f32, {1, 8, 8, 64});
  const ValueId half = b.cast(image, "half", Type::bf16);
  const ValueId pooled = b.max_pool2d(half, "pool", {}).map;
  b.mark_external(b.cast(pooled, "single", Type::f32));
  const Plan plan = make_plan(graph, graph.all(), Precision::fp32);
  // image (f32), half (bf16), pooled (bf16) and its indices (u8), the result (f32)
  EXPECT_LE(plan.arena_bytes, 8 * 8 * 64 * (4 + 2) + 4 * 4 * 64 * (2 + 1 + 4));
  check(graph);
}

}  // namespace
}  // namespace pixelwise
