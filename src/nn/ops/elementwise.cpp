#include "pixelwise/kernels/elementwise.hpp"

#include <algorithm>

#include "nn/ops/operators.hpp"
#include "nn/rules.hpp"

namespace pixelwise {
namespace {

int64_t one_flop(const Graph& graph, const Node& node) { return elementwise_flops(graph, node); }
int64_t no_flops(const Graph&, const Node&) { return 0; }

// One backward node that hands the gradient of dst to every src that wants one; an unwanted one gets a throw-away.
void shared_gradient(GradientBuilder& gradients, const Node& node) {
  const ValueId diff_dst = gated_gradient(gradients, node);
  if (diff_dst == no_value) return;
  Node backward = backward_node(node, Pass::backward);
  backward.src = {{diff_dst}};
  for (const Input& input : node.src) backward.dst.push_back(gradients.contribution(input.value));
  gradients.append(std::move(backward));
}

void add_gradient(GradientBuilder& gradients, const Node& node) {
  const ValueId diff_dst = gated_gradient(gradients, node);
  std::vector<ValueId> terms;
  for (const Input& input : node.src) terms.push_back(input.value);
  if (diff_dst != no_value) hand_on(gradients, node, diff_dst, terms);
}

std::vector<TensorDesc> infer_add(const Graph& graph, const Node& node) {
  const Value& first = src(graph, node);
  for (const Input& input : node.src) {
    const Value& x = graph.at(input.value);
    if (x.shape != first.shape || x.type != first.type)
      reject(node, "cannot add '{}' {} {} to '{}' {} {}: crop, resize or cast one of them", x.name, to_string(x.type),
             to_string(x.shape), first.name, to_string(first.type), to_string(first.shape));
  }
  return {{first.type, first.shape}};
}

std::vector<TensorDesc> infer_weighted_sum(const Graph& graph, const Node& node) {
  const Value& first = src(graph, node);
  if (first.shape.count() != 1)
    reject(node, "'{}' is {}, wanted one number, such as a loss: use add for maps", first.name, to_string(first.shape));
  return infer_add(graph, node);
}

std::vector<TensorDesc> infer_concat(const Graph& graph, const Node& node) {
  const Value& first = src(graph, node);
  Shape shape = first.shape;
  shape.c = 0;
  for (const Input& input : node.src) {
    const Value& x = graph.at(input.value);
    if (x.shape.n != shape.n || x.shape.size() != shape.size() || x.type != first.type)
      reject(node, "cannot concatenate '{}' {} {} with '{}' {} {}: crop, resize or cast one of them", x.name,
             to_string(x.type), to_string(x.shape), first.name, to_string(first.type), to_string(first.shape));
    shape.c += x.shape.c;
  }
  return {{first.type, shape}};
}

std::vector<TensorDesc> infer_crop(const Graph& graph, const Node& node) {
  const auto& s = std::get<CropSpec>(node.spec);
  const Value& x = src(graph, node);
  if (s.top < 0 || s.left < 0 || s.size.h < 1 || s.size.w < 1 || s.top + s.size.h > x.shape.h ||
      s.left + s.size.w > x.shape.w)
    reject(node, "the window {} at ({}, {}) is empty or leaves the map of {}: move or shrink it", to_string(s.size),
           s.top, s.left, to_string(x.shape.size()));
  return {{x.type, {x.shape.n, s.size.h, s.size.w, x.shape.c}}};
}

// What meets lies on the same pixels, and sees what the input with the widest view sees.
Geometry2d geometry_of_all(const Graph& graph, const Node& node) {
  Geometry2d geometry = src(graph, node).geometry;
  for (const Input& input : node.src) {
    geometry.h.field = std::max(geometry.h.field, graph.at(input.value).geometry.h.field);
    geometry.w.field = std::max(geometry.w.field, graph.at(input.value).geometry.w.field);
  }
  return geometry;
}

// The map's origin moves by `first` of its own pixels.
Geometry moved(Geometry g, int64_t first) {
  g.offset += g.stride * static_cast<double>(first);
  return g;
}

Geometry2d geometry_crop(const Graph& graph, const Node& node) {
  const auto& s = std::get<CropSpec>(node.spec);
  const Geometry2d& g = src(graph, node).geometry;
  return {moved(g.h, s.top), moved(g.w, s.left)};
}

std::vector<TensorDesc> infer_pad(const Graph& graph, const Node& node) {
  const auto& s = std::get<PadSpec>(node.spec);
  const Value& x = src(graph, node);
  if (s.top < 0 || s.bottom < 0 || s.left < 0 || s.right < 0)
    reject(node, "borders {}, {}, {}, {} must not be negative: use crop", s.top, s.bottom, s.left, s.right);
  return {{x.type, {x.shape.n, x.shape.h + s.top + s.bottom, x.shape.w + s.left + s.right, x.shape.c}}};
}

Geometry2d geometry_pad(const Graph& graph, const Node& node) {
  const auto& s = std::get<PadSpec>(node.spec);
  const Geometry2d& g = src(graph, node).geometry;
  return {moved(g.h, -s.top), moved(g.w, -s.left)};
}

std::vector<TensorDesc> infer_cast(const Graph& graph, const Node& node) {
  return {{std::get<CastSpec>(node.spec).type, src(graph, node).shape}};
}

void activation_gradient(GradientBuilder& gradients, const Node& node) {
  simple_gradient(gradients, node, {node.dst[0].value});
}
void plain_gradient(GradientBuilder& gradients, const Node& node) { simple_gradient(gradients, node); }

template <class Spec, Candidates (*kernels)(const Spec&, const Problem&)>
Candidates kernels_of(const OpSpec& spec, const Problem& problem) {
  return kernels(std::get<Spec>(spec), problem);
}

}  // namespace

const Operator activation_operator{"activation", same_as_src,         same_geometry,
                                   one_flop,     activation_gradient, kernels_of<ActivationSpec, activation_kernels>};
const Operator dropout_operator{"dropout", same_as_src,    same_geometry,
                                one_flop,  plain_gradient, kernels_of<DropoutSpec, dropout_kernels>};
const Operator add_operator{"add", infer_add, geometry_of_all, one_flop, add_gradient, kernels_of<AddSpec, add_kernels>,
                            true};
const Operator concat_operator{"concat", infer_concat,    geometry_of_all,
                               no_flops, shared_gradient, kernels_of<ConcatSpec, concat_kernels>};
const Operator crop_operator{"crop",   infer_crop,     geometry_crop,
                             no_flops, plain_gradient, kernels_of<CropSpec, crop_kernels>};
const Operator pad_operator{"pad", infer_pad, geometry_pad, no_flops, plain_gradient, kernels_of<PadSpec, pad_kernels>};
const Operator cast_operator{"cast",   infer_cast,     same_geometry,
                             no_flops, plain_gradient, kernels_of<CastSpec, cast_kernels>};
const Operator weighted_sum_operator{"weighted_sum",  infer_weighted_sum,
                                     same_geometry,   one_flop,
                                     shared_gradient, kernels_of<WeightedSumSpec, weighted_sum_kernels>};

}  // namespace pixelwise
