#include <algorithm>

#include "nn/uses.hpp"
#include "pixelwise/nn/fuse.hpp"

namespace pixelwise {
namespace {

// The node that writes a value; null: it comes from outside.
const Node* producer(const Graph& graph, ValueId id) {
  const int i = writer(graph, id);
  return i < 0 ? nullptr : &graph.nodes[static_cast<size_t>(i)];
}

// Class ids in place of the planes that one_hot makes of them.
void take_ids(const Graph& graph, Node& loss) {
  const Node* planes = producer(graph, loss.src[1].value);
  const auto* one_hot = planes ? std::get_if<OneHotSpec>(&planes->spec) : nullptr;
  if (!one_hot) return;
  std::get<SoftmaxCrossEntropySpec>(loss.spec).ignore_label = one_hot->ignore_label;
  loss.src[1] = planes->src[0];
}

// The small map in place of what it is resized to.
void take_small_map(const Graph& graph, Node& loss) {
  auto& spec = std::get<SoftmaxCrossEntropySpec>(loss.spec);
  const ValueId scores = loss.src[0].value;
  const Node* node = producer(graph, scores);
  const auto* resize = node ? std::get_if<ResizeSpec>(&node->spec) : nullptr;
  if (!resize || spec.resizes() || graph.at(scores).external || readers(graph, scores) != 1) return;
  spec.resize = *resize;
  loss.src[0] = node->src[0];
}

}  // namespace

void fuse_losses(Graph& graph) {
  for (Node& node : graph.nodes) {
    if (!std::holds_alternative<SoftmaxCrossEntropySpec>(node.spec)) continue;
    take_ids(graph, node);
    take_small_map(graph, node);
  }
  std::erase_if(graph.nodes, [nodes = graph](const Node& node) {
    const bool moved = std::holds_alternative<ResizeSpec>(node.spec) || std::holds_alternative<OneHotSpec>(node.spec);
    const ValueId result = node.dst[0].value;
    return moved && !nodes.at(result).external && readers(nodes, result) == 0;
  });
  graph.forward_nodes = static_cast<int>(graph.nodes.size());
}

}  // namespace pixelwise
