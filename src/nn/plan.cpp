// Lifetimes -> offsets. Every block (a value, a node's scratch, a node's packed weights) lives from its first node to
// its last. The largest blocks are placed first, each into the lowest gap between the placed blocks whose lifetimes
// overlap its own (greedy by size: Pisarchyk, Lee 2020, "Efficient memory management for deep neural net inference").
#include "pixelwise/nn/plan.hpp"

#include <algorithm>

#include "pixelwise/core/checked.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

constexpr int64_t alignment = 64;

struct Block {
  int64_t bytes = 0;
  int first = 0, last = 0;  // nodes
  int64_t* offset = nullptr;
};

bool overlap(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// Channels of pixels that lie a multiple of a page apart share a few sets of the caches: a kernel that reads some
// channels of many pixels (a tile of a 1x1 convolution reads 14) finds them evicted. 1x1 512 -> 1024 channels: 90
// GFLOP/s of a core's 115 with a stride of 4096 bytes, 113 with 4160.
int64_t pixel_stride_of(const Value& value, bool kept) {
  const int64_t channels = value.shape.c, page = 4096 / size_of(Type::f32), line = 64 / size_of(Type::f32);
  return !kept && value.type == Type::f32 && channels % page == 0 ? channels + line : channels;
}

// Which values outlive their last reader: what is read from outside, and the gradients of parameters.
std::vector<bool> kept_values(const Graph& graph) {
  std::vector<bool> kept(graph.values.size());
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    if (value.external) kept[id] = true;
    if (value.storage == Storage::parameter && value.gradient != no_value)
      kept[static_cast<size_t>(value.gradient)] = true;
  }
  return kept;
}

std::vector<ValueId> operands(const Node& node) {
  std::vector<ValueId> ids;
  for_each_read(node, [&](ValueId id) { ids.push_back(id); });
  for (const Output& output : node.dst) ids.push_back(output.value);
  return ids;
}

std::vector<Block> value_blocks(const Graph& graph, Range nodes, Plan& plan) {
  const std::vector<bool> kept = kept_values(graph);
  for (size_t id = 0; id < graph.values.size(); ++id)
    plan.pixel_stride.push_back(pixel_stride_of(graph.values[id], kept[id]));
  std::vector<Block> of_value(graph.values.size());
  for (int i = nodes.begin; i < nodes.end; ++i) {
    for (const ValueId id : operands(graph.nodes[static_cast<size_t>(i)])) {
      const Value& value = graph.at(id);
      if (value.storage != Storage::arena || value.deferred) continue;
      Block& block = of_value[static_cast<size_t>(id)];
      if (!block.offset) {
        block = {value_bytes(graph, plan, id), i, i, &plan.offset[static_cast<size_t>(id)]};
        if (kept[static_cast<size_t>(id)]) block.first = nodes.begin, block.last = nodes.end;
      }
      block.last = std::max(block.last, i);
    }
  }
  std::erase_if(of_value, [](const Block& block) { return !block.offset; });
  return of_value;
}

void node_blocks(const Graph& graph, Range nodes, Plan& plan, std::vector<Block>& blocks) {
  for (int i = nodes.begin; i < nodes.end; ++i) {
    const Kernel& kernel = plan.kernels[static_cast<size_t>(i)];
    const Range kept = graph.trains() ? Range{i, i} : nodes;  // weights that stay are packed and folded once
    const auto add = [&](int64_t bytes, int first, int last, std::vector<int64_t>& offsets) {
      if (bytes > 0) blocks.push_back({bytes, first, last, &offsets[static_cast<size_t>(i)]});
    };
    add(kernel.scratch_bytes, i, i, plan.scratch_offset);
    add(kernel.packed_bytes, kept.begin, kept.end, plan.packed_offset);
    add(folded_bytes(graph, graph.nodes[static_cast<size_t>(i)]), kept.begin, kept.end, plan.folded_offset);
  }
}

int64_t largest_moment(const std::vector<Block>& blocks, Range nodes) {
  int64_t largest = 0;
  for (int i = nodes.begin; i < nodes.end; ++i) {
    int64_t alive = 0;
    for (const Block& block : blocks)
      alive += block.first <= i && i <= block.last ? round_up(block.bytes, alignment) : 0;
    largest = std::max(largest, alive);
  }
  return largest;
}

int64_t place(std::vector<Block>& blocks) {
  std::stable_sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
  std::vector<const Block*> placed;  // by offset
  int64_t arena = 0;
  for (const Block& block : blocks) {
    int64_t offset = 0;
    for (const Block* other : placed) {
      if (!overlap(block, *other)) continue;
      if (offset + block.bytes <= *other->offset) break;
      offset = std::max(offset, round_up(*other->offset + other->bytes, alignment));
    }
    *block.offset = offset;
    const auto after =
        std::find_if(placed.begin(), placed.end(), [&](const Block* other) { return *other->offset > offset; });
    placed.insert(after, &block);
    arena = std::max(arena, round_up(offset + block.bytes, alignment));
  }
  return arena;
}

}  // namespace

int64_t value_bytes(const Graph& graph, const Plan& plan, ValueId id) {
  const Value& value = graph.at(id);
  return value.shape.n * value.shape.h * value.shape.w * plan.pixel_stride[static_cast<size_t>(id)] *
         size_of(value.type);
}

View value_view(const Graph& graph, const Plan& plan, ValueId id, std::byte* base) {
  const Value& value = graph.at(id);
  Shape padded = value.shape;
  padded.c = plan.pixel_stride[static_cast<size_t>(id)];
  return channel_slice(dense_view(base + plan.offset[static_cast<size_t>(id)], value.type, padded), 0, value.shape.c);
}

int64_t folded_bytes(const Graph& graph, const Node& node) {
  if (!node.batch_norm) return 0;
  const Value& weight = graph.at(node.batch_norm.weight);
  return 2 * weight.shape.c * size_of(weight.type);
}

Plan make_plan(const Graph& graph, Range nodes, Precision precision) {
  Plan plan;
  plan.offset.assign(graph.values.size(), -1);
  plan.scratch_offset.assign(graph.nodes.size(), -1);
  plan.packed_offset.assign(graph.nodes.size(), -1);
  plan.folded_offset.assign(graph.nodes.size(), -1);
  plan.kernels.resize(graph.nodes.size());
  for (int i = nodes.begin; i < nodes.end; ++i) {
    const Node& node = graph.nodes[static_cast<size_t>(i)];
    plan.kernels[static_cast<size_t>(i)] =
        select(operator_of(node.spec).kernels(node.spec, problem_of(graph, node, precision)));
  }
  std::vector<Block> blocks = value_blocks(graph, nodes, plan);
  node_blocks(graph, nodes, plan, blocks);
  plan.largest_moment = largest_moment(blocks, nodes);
  plan.arena_bytes = place(blocks);
  return plan;
}

}  // namespace pixelwise
