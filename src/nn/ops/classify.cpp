#include "pixelwise/kernels/classify.hpp"

#include "nn/ops/operators.hpp"
#include "nn/rules.hpp"

namespace pixelwise {
namespace {

std::vector<TensorDesc> infer_argmax(const Graph& graph, const Node& node) {
  Shape shape = src(graph, node).shape;
  if (shape.c > 256) reject(node, "{} channels, wanted at most 256: class ids are u8", shape.c);
  shape.c = 1;
  return {{Type::u8, shape}};
}

std::vector<TensorDesc> infer_one_hot(const Graph& graph, const Node& node) {
  const auto& s = std::get<OneHotSpec>(node.spec);
  const Value& ids = src(graph, node);
  if (ids.type != Type::u8 || ids.shape.c != 1)
    reject(node, "class ids are {} {}, wanted u8 with one channel", to_string(ids.type), to_string(ids.shape));
  if (s.classes < 1 || s.classes > 256) reject(node, "{} classes: wanted 1 to 256", s.classes);
  return {{s.type, {ids.shape.n, ids.shape.h, ids.shape.w, s.classes}}};
}

// The scores that have targets: src[0], or what it is resized to.
Shape scores_shape(const Graph& graph, const Node& node) {
  const auto& s = std::get<SoftmaxCrossEntropySpec>(node.spec);
  const Shape x = src(graph, node).shape;
  return s.resizes() ? Shape{x.n, s.resize.size.h, s.resize.size.w, x.c} : x;
}

std::vector<TensorDesc> infer_loss(const Graph& graph, const Node& node) {
  const auto& s = std::get<SoftmaxCrossEntropySpec>(node.spec);
  const Type type = src(graph, node).type;
  const Value& targets = src(graph, node, 1);
  const Shape scores = scores_shape(graph, node);
  if (s.resizes() && (s.resize.size.h < 1 || s.resize.size.w < 1))
    reject(node, "cannot resize scores to {}: wanted at least 1x1, or 0x0 for none", to_string(s.resize.size));
  Shape ids = scores;
  ids.c = 1;
  const bool planes = targets.shape == scores && targets.type == type;
  if (!planes && (targets.shape != ids || targets.type != Type::u8))
    reject(node,
           "targets are {} {}; scores of {} want one-hot {} of type {} or class ids u8 {}: resize or "
           "crop the scores to the labels",
           to_string(targets.type), to_string(targets.shape), to_string(scores), to_string(scores), to_string(type),
           to_string(ids));
  if (s.shared_denominator && (node.src.size() < 3 || src(graph, node, 2).shape.count() != 1))
    reject(node, "shared_denominator wants a third operand of one number: give the value to divide by");
  return {{type, {1, 1, 1, 1}}, {type, {1, 1, 1, 1}}};
}

// Softmax and its logarithm or gradient, and the blend of a resized score.
int64_t loss_flops(const Graph& graph, const Node& node) {
  const bool resizes = std::get<SoftmaxCrossEntropySpec>(node.spec).resizes();
  return (resizes ? 14 : 6) * scores_shape(graph, node).count();
}

void loss_gradient(GradientBuilder& gradients, const Node& node) {
  const ValueId diff_loss = gradients.gradient_of(node.dst[0].value);
  if (diff_loss == no_value || !gradients.wanted(node.src[0].value)) return;
  Node backward = backward_node(node, Pass::backward);
  backward.src = {node.src[0], node.src[1], {node.dst[1].value}, {diff_loss}};
  backward.parameters = node.parameters;
  backward.dst = {gradients.contribution(node.src[0].value)};
  gradients.append(std::move(backward));
}

}  // namespace

const Operator softmax_operator{
    "softmax",
    same_as_src,
    same_geometry,
    [](const Graph& g, const Node& n) { return elementwise_flops(g, n, 4); },
    [](GradientBuilder& g, const Node& n) { simple_gradient(g, n, {n.dst[0].value}); },
    [](const OpSpec& s, const Problem& p) { return softmax_kernels(std::get<SoftmaxSpec>(s), p); }};

const Operator argmax_operator{
    "argmax",      infer_argmax,
    same_geometry, [](const Graph& g, const Node& n) { return elementwise_flops(g, n); },
    nullptr,       [](const OpSpec& s, const Problem& p) { return argmax_kernels(std::get<ArgmaxSpec>(s), p); }};

const Operator one_hot_operator{
    "one_hot",     infer_one_hot,
    same_geometry, [](const Graph&, const Node&) { return int64_t{0}; },
    nullptr,       [](const OpSpec& s, const Problem& p) { return one_hot_kernels(std::get<OneHotSpec>(s), p); }};

const Operator softmax_cross_entropy_operator{"softmax_cross_entropy",
                                              infer_loss,
                                              same_geometry,
                                              loss_flops,
                                              loss_gradient,
                                              [](const OpSpec& s, const Problem& p) {
                                                return softmax_cross_entropy_kernels(
                                                    std::get<SoftmaxCrossEntropySpec>(s), p);
                                              }};

}  // namespace pixelwise
