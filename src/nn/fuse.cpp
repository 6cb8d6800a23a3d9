#include "pixelwise/nn/fuse.hpp"

#include <algorithm>

#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

int readers(const Graph& graph, ValueId id) {
  int count = 0;
  for (const Node& node : graph.nodes) {
    for (const Input& input : node.src) count += (input.value == id) + (input.scale == id) + (input.shift == id);
    count += static_cast<int>(std::count(node.parameters.begin(), node.parameters.end(), id));
    count += (node.residual == id) + (node.gate == id);
  }
  return count;
}

Node* writer(Graph& graph, ValueId id) {
  for (Node& node : graph.nodes) {
    if (node.dst[0].value == id) return &node;
  }
  return nullptr;
}

}  // namespace

void fuse(Graph& graph) {
  for (size_t i = 0; i < graph.nodes.size();) {
    const auto* activation = std::get_if<ActivationSpec>(&graph.nodes[i].spec);
    const ValueId before = graph.nodes[i].src[0].value;
    Node* producer = activation ? writer(graph, before) : nullptr;
    if (!producer || !operator_of(producer->spec).fuses_activation || producer->act != Activation::none ||
        graph.at(before).external || readers(graph, before) != 1) {
      ++i;
      continue;
    }
    producer->act = activation->function;
    producer->dst[0] = graph.nodes[i].dst[0];
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
  }
  graph.forward_nodes = static_cast<int>(graph.nodes.size());
}

}  // namespace pixelwise
