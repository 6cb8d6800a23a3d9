// Who writes and who reads a value of a forward graph, and what a node is: what the passes that rewrite graphs ask.
#pragma once
#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

/// How often nodes read a value.
inline int readers(const Graph& graph, ValueId id) {
  int count = 0;
  for (const Node& node : graph.nodes) for_each_read(node, [&](ValueId read) { count += read == id; });
  return count;
}

/// The index of the node that writes a value; -1: it comes from outside.
inline int writer(const Graph& graph, ValueId id) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].dst[0].value == id) return static_cast<int>(i);
  }
  return -1;
}

inline bool is_convolution(const Node& node) {
  return std::holds_alternative<Conv2dSpec>(node.spec) || std::holds_alternative<ConvTranspose2dSpec>(node.spec);
}

}  // namespace pixelwise
