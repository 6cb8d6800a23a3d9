// Reverse-mode differentiation: appends the backward nodes to the same list.
#pragma once
#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

/// Appends nodes that compute d loss / d parameter for every trained parameter (Value::gradient). Where a value has
/// several readers, the first backward node writes its gradient and the others add to it. `loss` is {1, 1, 1, 1};
/// its own gradient is an external value called "diff." + name that must be set to 1 (the executor does).
/// also: further values (an input image, say) whose gradients are wanted, made external.
void differentiate(Graph& graph, ValueId loss, const std::vector<ValueId>& also = {});

/// The same from any maps: the gradient of the sum over `outputs` of <diff_output, output>. "diff." + name of an output
/// is an external value, to be filled before each run (and not to be relied on after it); the executor sets those of
/// one element to 1.
void differentiate_from(Graph& graph, const std::vector<ValueId>& outputs, const std::vector<ValueId>& also = {});

/// What an operator's gradient rule works with.
class GradientBuilder {
 public:
  explicit GradientBuilder(Graph& graph) : graph_(graph) {}

  const Graph& graph() const { return graph_; }
  bool wanted(ValueId id) const;          ///< does this value need a gradient?
  ValueId gradient_of(ValueId id) const;  ///< of a destination: its finished gradient (no_value: nobody reads it)
  /// The destination for a contribution to the gradient of `id`: an arena value; mode write for the first one and add
  /// for the others; add_after_first for parameters. An unwanted one is a throw-away value where needed.
  Output contribution(ValueId id);
  /// The finished `gradient` of a sum is all that a term gets from it: the term's gradient, if this is its first
  /// contribution, is the same value from here on, and nothing is copied. False: it has one already, or wants none,
  /// or `gradient` comes from outside.
  bool share(ValueId term, ValueId gradient);
  void append(Node node);  ///< a backward node

 private:
  Graph& graph_;
};

}  // namespace pixelwise
