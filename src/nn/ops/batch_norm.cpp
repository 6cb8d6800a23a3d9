#include "pixelwise/kernels/batch_norm.hpp"

#include "nn/ops/operators.hpp"
#include "nn/rules.hpp"

namespace pixelwise {
namespace {

std::vector<TensorDesc> infer(const Graph& graph, const Node& node) {
  const auto& spec = std::get<BatchNormSpec>(node.spec);
  const Value& x = src(graph, node);
  const Shape vector{1, 1, 1, x.shape.c};
  for (const ValueId parameter : node.parameters) {
    if (graph.at(parameter).shape != vector)
      reject(node, "'{}' is {}, wanted {}", graph.at(parameter).name, to_string(graph.at(parameter).shape),
             to_string(vector));
  }
  if (spec.phase == Phase::inference) return {{x.type, x.shape}};
  if (x.shape.pixels() < 2)
    reject(node, "training normalises over one value a channel (a map of {}): use a larger batch or crop",
           to_string(x.shape));
  return {{x.type, x.shape}, {x.type, vector}, {x.type, vector}, {x.type, vector}, {x.type, vector}};
}

void gradient(GradientBuilder& gradients, const Node& node) {
  const ValueId y = node.dst[0].value, x = node.src[0].value;
  const bool summed = node.residual != no_value;
  const ValueId diff_y = summed ? gated_gradient(gradients, node) : gradients.gradient_of(y);
  if (diff_y == no_value) return;
  const bool trained = gradients.wanted(node.parameters[0]) || gradients.wanted(node.parameters[1]);
  Node backward = backward_node(node, Pass::backward);
  backward.src = {{x}, {diff_y}};
  if (std::get<BatchNormSpec>(node.spec).phase == Phase::training) {
    for (size_t i = 1; i < node.dst.size(); ++i) backward.src.push_back({node.dst[i].value});
  } else {
    backward.parameters = node.parameters;
  }
  if (!summed) backward.gate_act = node.act;
  if (trained || gradients.wanted(x)) {
    backward.dst = {gradients.contribution(x), gradients.contribution(node.parameters[0]),
                    gradients.contribution(node.parameters[1])};
    gradients.append(std::move(backward));
  }
  if (summed) hand_on(gradients, node, diff_y, {node.residual});
}

}  // namespace

const Operator batch_norm_operator{
    "batch_norm",  infer,
    same_geometry, [](const Graph& g, const Node& n) { return elementwise_flops(g, n, 4); },
    gradient,      [](const OpSpec& s, const Problem& p) { return batch_norm_kernels(std::get<BatchNormSpec>(s), p); },
    true};

}  // namespace pixelwise
