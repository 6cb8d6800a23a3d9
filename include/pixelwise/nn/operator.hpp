// The rules of an operator: everything that a pass over the graph has to know about it. One table; every pass
// (inference of shapes, geometry, cost, differentiation, kernel selection) goes through it.
#pragma once
#include <vector>

#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

struct Cost {
  int64_t flops = 0;  ///< 2 x multiply-accumulates of the direct algorithm for convolutions; operations for the rest
  int64_t bytes = 0;  ///< read and written once
};

class GradientBuilder;

/// One per operator, defined in nn/ops/<operator>.cpp.
struct Operator {
  const char* name;
  /// Types and shapes of dst from those of src and parameters. Throws UsageError naming the node, what was given, what
  /// was wanted and what to do.
  std::vector<TensorDesc> (*infer)(const Graph&, const Node&);
  /// Geometry of dst[0] from that of src[0].
  Geometry2d (*geometry)(const Graph&, const Node&);
  /// FLOPs of the node's pass.
  int64_t (*flops)(const Graph&, const Node&);
  /// Appends the nodes that compute the gradients of src and parameters; null: has no gradient (argmax).
  void (*gradient)(GradientBuilder&, const Node&);
  /// The kernels for a node of this operator.
  Candidates (*kernels)(const OpSpec&, const Problem&);
  bool fuses_activation = false;  ///< an activation after it may become Node::act
  bool has_epilogue = false;      ///< so may a batch norm with constant statistics, and a sum with another map
};

const Operator& operator_of(const OpSpec& spec);
Cost cost_of(const Graph& graph, const Node& node);
/// The problem that selection sees for this node.
Problem problem_of(const Graph& graph, const Node& node, Precision precision);

}  // namespace pixelwise
