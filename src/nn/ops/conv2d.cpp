#include "pixelwise/kernels/conv2d.hpp"
#include "nn/ops/operators.hpp"
#include "nn/rules.hpp"

namespace pixelwise {
namespace {

void check_channels(const Node& node, int64_t in, int64_t out, int64_t groups) {
  if (out < 1) reject(node, "{} output channels: wanted at least 1", out);
  if (groups < 1 || in % groups || out % groups)
    reject(node, "{} groups do not divide {} input and {} output channels: use a number that does", groups, in, out);
}

void check_weights(const Graph& graph, const Node& node, const Shape& wanted) {
  const Shape given = graph.at(node.parameters.at(0)).shape;
  if (given != wanted) reject(node, "weights are {}, wanted {}", to_string(given), to_string(wanted));
}

// Multiply-accumulates of one pass: every pixel of `map` meets every weight (of its own channel where depthwise).
int64_t product_flops(const Graph& graph, const Node& node, bool transposed) {
  // forward: x -> y; backward_data: diff_y -> diff_x; backward_weights: x, diff_y -> diff_weights.
  const bool weights_pass = node.pass == Pass::backward_weights;
  const Shape weights = weights_pass ? dst(graph, node).shape : graph.at(node.parameters.at(0)).shape;
  const Shape x = node.pass == Pass::backward_data ? dst(graph, node).shape : src(graph, node).shape;
  const Shape y = node.max_pool                ? operator_of(node.spec).infer(graph, node)[0].shape
                  : node.pass == Pass::forward ? dst(graph, node).shape
                                               : src(graph, node, weights_pass ? 1 : 0).shape;
  return 2 * (transposed ? x : y).pixels() * weights.count();
}

template <class Spec>
void product_gradient(GradientBuilder& gradients, const Node& node) {
  const ValueId diff_dst = gated_gradient(gradients, node);
  if (diff_dst == no_value) return;
  const auto& spec = std::get<Spec>(node.spec);
  if (gradients.wanted(node.parameters[0]) || (spec.bias && gradients.wanted(node.parameters[1]))) {
    Node weights = backward_node(node, Pass::backward_weights);
    weights.src = {node.src[0], {diff_dst}};
    for (const ValueId parameter : node.parameters) weights.dst.push_back(gradients.contribution(parameter));
    gradients.append(std::move(weights));
  }
  if (gradients.wanted(node.src[0].value)) {
    Node data = backward_node(node, Pass::backward_data);
    data.src = {{diff_dst}};
    data.parameters = {node.parameters[0]};
    data.dst = {gradients.contribution(node.src[0].value)};
    gradients.append(std::move(data));
  }
}

std::vector<TensorDesc> infer(const Graph& graph, const Node& node) {
  const auto& spec = std::get<Conv2dSpec>(node.spec);
  const Value& x = src(graph, node);
  check_window(node, spec.kernel, spec.stride, spec.pad, spec.dilation);
  check_channels(node, x.shape.c, spec.out_channels, spec.groups);
  check_weights(graph, node, conv2d_weights_shape(spec, x.shape.c));
  const Size size = conv2d_size(spec, x.shape.size());
  if (size.h < 1 || size.w < 1)
    reject(node,
           "a map of {} is too small for a {} kernel with dilation {} and pad {}: use a larger input or more padding",
           to_string(x.shape.size()), to_string(spec.kernel), to_string(spec.dilation), to_string(spec.pad));
  return {{x.type, {x.shape.n, size.h, size.w, spec.out_channels}}};
}

Geometry2d geometry(const Graph& graph, const Node& node) {
  const auto& s = std::get<Conv2dSpec>(node.spec);
  const Geometry2d& g = src(graph, node).geometry;
  return {window_geometry(g.h, s.kernel.h, s.stride.h, s.pad.h, s.dilation.h),
          window_geometry(g.w, s.kernel.w, s.stride.w, s.pad.w, s.dilation.w)};
}

std::vector<TensorDesc> infer_transpose(const Graph& graph, const Node& node) {
  const auto& spec = std::get<ConvTranspose2dSpec>(node.spec);
  const Value& x = src(graph, node);
  check_window(node, spec.kernel, spec.stride, spec.pad, spec.dilation);
  check_channels(node, x.shape.c, spec.out_channels, spec.groups);
  check_weights(graph, node, conv_transpose2d_weights_shape(spec, x.shape.c));
  const Size size = conv_transpose2d_size(spec, x.shape.size());
  if (size.h < 1 || size.w < 1)
    reject(node, "a map of {} with pad {} leaves no output: use less padding", to_string(x.shape.size()),
           to_string(spec.pad));
  return {{x.type, {x.shape.n, size.h, size.w, spec.out_channels}}};
}

Geometry2d geometry_transpose(const Graph& graph, const Node& node) {
  const auto& s = std::get<ConvTranspose2dSpec>(node.spec);
  const Geometry2d& g = src(graph, node).geometry;
  return {transposed_geometry(g.h, s.kernel.h, s.stride.h, s.pad.h, s.dilation.h),
          transposed_geometry(g.w, s.kernel.w, s.stride.w, s.pad.w, s.dilation.w)};
}

int64_t flops(const Graph& graph, const Node& node) {
  const int64_t pooled = node.max_pool ? 4 * dst(graph, node).shape.count() : 0;
  return product_flops(graph, node, false) + pooled;
}

}  // namespace

const Operator conv2d_operator{
    "conv2d",
    infer,
    geometry,
    flops,
    product_gradient<Conv2dSpec>,
    [](const OpSpec& spec, const Problem& problem) { return conv2d_kernels(std::get<Conv2dSpec>(spec), problem); },
    true,
    true};

const Operator conv_transpose2d_operator{"conv_transpose2d",
                                         infer_transpose,
                                         geometry_transpose,
                                         [](const Graph& g, const Node& n) { return product_flops(g, n, true); },
                                         product_gradient<ConvTranspose2dSpec>,
                                         [](const OpSpec& spec, const Problem& problem) {
                                           return conv_transpose2d_kernels(std::get<ConvTranspose2dSpec>(spec),
                                                                           problem);
                                         },
                                         true,
                                         true};

}  // namespace pixelwise
