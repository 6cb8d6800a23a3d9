// Reverse mode: the nodes are visited from last to first; when a node is reached, all readers of its output have added
// their share to the output's gradient, so the gradient is finished.
#include "pixelwise/nn/differentiate.hpp"

#include <algorithm>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

// A value needs a gradient where it depends on a trained parameter, or was asked for.
void mark_needs(Graph& graph, const std::vector<ValueId>& also) {
  for (Value& value : graph.values) value.needs_gradient = value.storage == Storage::parameter && !value.frozen;
  for (const ValueId id : also) graph.at(id).needs_gradient = true;
  for (const Node& node : graph.nodes) {
    if (!operator_of(node.spec).gradient) continue;
    const auto needs = [&](ValueId id) { return graph.at(id).needs_gradient; };
    const bool any =
        std::any_of(node.src.begin(), node.src.end(), [&](const Input& input) { return needs(input.value); }) ||
        std::any_of(node.parameters.begin(), node.parameters.end(), needs);
    if (any) graph.at(node.dst[0].value).needs_gradient = true;
  }
}

ValueId add_gradient_value(Graph& graph, ValueId of, const std::string& name) {
  Value gradient;
  gradient.name = name;
  gradient.type = graph.at(of).type;
  gradient.shape = graph.at(of).shape;
  gradient.geometry = graph.at(of).geometry;
  graph.values.push_back(gradient);
  return static_cast<ValueId>(graph.values.size()) - 1;
}

}  // namespace

bool GradientBuilder::wanted(ValueId id) const { return graph_.at(id).needs_gradient; }

ValueId GradientBuilder::gradient_of(ValueId id) const { return graph_.at(id).gradient; }

Output GradientBuilder::contribution(ValueId id) {
  if (!wanted(id)) return {add_gradient_value(graph_, id, "unused.diff." + graph_.at(id).name), Accumulate::write};
  const bool first = graph_.at(id).gradient == no_value;
  if (first) {
    const ValueId gradient = add_gradient_value(graph_, id, "diff." + graph_.at(id).name);
    graph_.at(id).gradient = gradient;
  }
  const bool parameter = graph_.at(id).storage == Storage::parameter;
  return {graph_.at(id).gradient, !first      ? Accumulate::add
                                  : parameter ? Accumulate::add_after_first
                                              : Accumulate::write};
}

bool GradientBuilder::share(ValueId term, ValueId gradient) {
  if (!wanted(term) || graph_.at(term).gradient != no_value || graph_.at(gradient).external) return false;
  graph_.at(term).gradient = gradient;
  return true;
}

void GradientBuilder::append(Node node) { graph_.nodes.push_back(std::move(node)); }

void differentiate_from(Graph& graph, const std::vector<ValueId>& outputs, const std::vector<ValueId>& also) {
  graph.forward_nodes = static_cast<int>(graph.nodes.size());
  mark_needs(graph, also);
  GradientBuilder gradients(graph);
  for (const ValueId output : outputs) graph.at(gradients.contribution(output).value).external = true;
  for (int i = graph.forward_nodes - 1; i >= 0; --i) {
    const Node node = graph.nodes[static_cast<size_t>(i)];  // a copy: the list grows
    if (gradients.gradient_of(node.dst[0].value) != no_value && operator_of(node.spec).gradient)
      operator_of(node.spec).gradient(gradients, node);
  }
  for (const ValueId id : also) {
    if (graph.at(id).gradient != no_value) graph.at(graph.at(id).gradient).external = true;
  }
}

void differentiate(Graph& graph, ValueId loss, const std::vector<ValueId>& also) {
  if (graph.at(loss).shape.count() != 1)
    throw UsageError(format("cannot differentiate '{}' of shape {}: a loss is one number", graph.at(loss).name,
                            to_string(graph.at(loss).shape)));
  differentiate_from(graph, {loss}, also);
}

}  // namespace pixelwise
