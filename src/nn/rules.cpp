#include "nn/rules.hpp"

#include <algorithm>

namespace pixelwise {

void check_window(const Node& node, Size kernel, Size stride, Size pad, Size dilation) {
  const int64_t smallest = std::min({kernel.h, kernel.w, stride.h, stride.w, dilation.h, dilation.w});
  if (smallest < 1 || std::min(pad.h, pad.w) < 0)
    reject(node, "kernel {}, stride {}, dilation {}, pad {}: wanted at least 1, 1, 1 and 0", to_string(kernel),
           to_string(stride), to_string(dilation), to_string(pad));
}

std::vector<TensorDesc> same_as_src(const Graph& graph, const Node& node) {
  return {{src(graph, node).type, src(graph, node).shape}};
}

Geometry2d same_geometry(const Graph& graph, const Node& node) { return src(graph, node).geometry; }

int64_t elementwise_flops(const Graph& graph, const Node& node, int64_t per_element) {
  int64_t largest = 0;
  for (const Input& input : node.src) largest = std::max(largest, graph.at(input.value).shape.count());
  for (const Output& output : node.dst) largest = std::max(largest, graph.at(output.value).shape.count());
  return per_element * largest;
}

// Pixel i of dst looks at src pixels i * stride - pad + dilation * k: centred at i * stride - pad + extent / 2.
Geometry window_geometry(const Geometry& from, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  const auto extent = static_cast<double>(dilation * (kernel - 1));
  return {from.stride * static_cast<double>(stride),
          from.offset + from.stride * (extent / 2 - static_cast<double>(pad)), from.field + from.stride * extent};
}

// Pixel j of dst is reached from src pixels i with j = i * stride - pad + dilation * k: the inverse of the above.
Geometry transposed_geometry(const Geometry& from, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  const auto extent = static_cast<double>(dilation * (kernel - 1));
  const double fine = from.stride / static_cast<double>(stride);
  const auto readers =
      static_cast<double>((dilation * (kernel - 1)) / stride);  // further src pixels that reach one dst
  return {fine, from.offset - fine * (extent / 2 - static_cast<double>(pad)), from.field + from.stride * readers};
}

Node backward_node(const Node& forward, Pass pass) {
  const char* suffix = pass == Pass::backward_data      ? ".backward_data"
                       : pass == Pass::backward_weights ? ".backward_weights"
                                                        : ".backward";
  Node node;
  node.name = forward.name + suffix;
  node.spec = forward.spec;
  node.pass = pass;
  return node;
}

ValueId gated_gradient(GradientBuilder& gradients, const Node& node) {
  const ValueId diff_dst = gradients.gradient_of(node.dst[0].value);
  if (node.act == Activation::none || diff_dst == no_value) return diff_dst;
  Node gate;  // in place: nobody else reads the gradient of this output
  gate.name = node.name + ".act.backward";
  gate.spec = ActivationSpec{node.act};
  gate.pass = Pass::backward;
  gate.src = {{diff_dst}, {node.dst[0].value}};
  gate.dst = {{diff_dst, Accumulate::write}};
  gradients.append(std::move(gate));
  return diff_dst;
}

void hand_on(GradientBuilder& gradients, const Node& sum, ValueId gradient, const std::vector<ValueId>& terms) {
  std::vector<ValueId> others;
  bool shared = false;
  for (const ValueId term : terms) {
    if (!shared && gradients.share(term, gradient))
      shared = true;
    else if (gradients.wanted(term))
      others.push_back(term);
  }
  if (others.empty()) return;
  Node copies;
  copies.name = sum.name + (std::holds_alternative<AddSpec>(sum.spec) ? ".backward" : ".sum.backward");
  copies.spec = AddSpec{};
  copies.pass = Pass::backward;
  copies.src = {{gradient}};
  for (const ValueId term : others) copies.dst.push_back(gradients.contribution(term));
  gradients.append(std::move(copies));
}

void simple_gradient(GradientBuilder& gradients, const Node& node, const std::vector<ValueId>& saved) {
  const ValueId diff_dst = gradients.gradient_of(node.dst[0].value);
  if (diff_dst == no_value || !gradients.wanted(node.src[0].value)) return;
  Node backward = backward_node(node, Pass::backward);
  backward.src = {{diff_dst}};
  for (const ValueId id : saved) backward.src.push_back({id});
  backward.dst = {gradients.contribution(node.src[0].value)};
  gradients.append(std::move(backward));
}

}  // namespace pixelwise
