#include "pixelwise/kernels/pooling.hpp"

#include "nn/ops/operators.hpp"
#include "nn/rules.hpp"

namespace pixelwise {
namespace {

template <class Spec>
Size pooled_size(const Graph& graph, const Node& node, bool ceil) {
  const auto& s = std::get<Spec>(node.spec);
  const Shape x = src(graph, node).shape;
  check_window(node, s.kernel, s.stride, s.pad);
  if (s.pad.h * 2 > s.kernel.h || s.pad.w * 2 > s.kernel.w)
    reject(node, "pad {} is more than half of the window {}: use less padding", to_string(s.pad), to_string(s.kernel));
  const Size size = pool_size(s.kernel, s.stride, s.pad, ceil, x.size());
  if (size.h < 1 || size.w < 1)
    reject(node, "the map is {}, the window {} does not fit: use a larger input", to_string(x.size()),
           to_string(s.kernel));
  return size;
}

template <class Spec>
Geometry2d pooled_geometry(const Graph& graph, const Node& node) {
  const auto& s = std::get<Spec>(node.spec);
  const Geometry2d& g = src(graph, node).geometry;
  return {window_geometry(g.h, s.kernel.h, s.stride.h, s.pad.h), window_geometry(g.w, s.kernel.w, s.stride.w, s.pad.w)};
}

template <class Spec>
int64_t pooling_flops(const Graph& graph, const Node& node) {
  const auto& s = std::get<Spec>(node.spec);
  return dst(graph, node).shape.count() * s.kernel.h * s.kernel.w;
}

std::vector<TensorDesc> infer_max(const Graph& graph, const Node& node) {
  const auto& s = std::get<MaxPool2dSpec>(node.spec);
  const Size size = pooled_size<MaxPool2dSpec>(graph, node, s.ceil);
  if (s.kernel.h * s.kernel.w > 256)
    reject(node, "a window of {} has more than 256 places, and indices are u8: use a smaller one", to_string(s.kernel));
  const Value& x = src(graph, node);
  const Shape shape{x.shape.n, size.h, size.w, x.shape.c};
  return {{x.type, shape}, {Type::u8, shape}};
}

std::vector<TensorDesc> infer_unpool(const Graph& graph, const Node& node) {
  const auto& s = std::get<MaxUnpool2dSpec>(node.spec);
  const Value &x = src(graph, node), &indices = src(graph, node, 1);
  check_window(node, s.kernel, s.stride, s.pad);
  if (indices.type != Type::u8 || indices.shape != x.shape)
    reject(node, "indices are {} {}, wanted u8 {}: take those of the pooling that made this map",
           to_string(indices.type), to_string(indices.shape), to_string(x.shape));
  for (const bool ceil : {false, true}) {
    if (pool_size(s.kernel, s.stride, s.pad, ceil, s.size) == x.shape.size())
      return {{x.type, {x.shape.n, s.size.h, s.size.w, x.shape.c}}};
  }
  reject(node, "pooling {} does not give this map of {}: `size` must be that of the pooled map", to_string(s.size),
         to_string(x.shape.size()));
}

Geometry2d geometry_unpool(const Graph& graph, const Node& node) {
  const auto& s = std::get<MaxUnpool2dSpec>(node.spec);
  const Geometry2d& g = src(graph, node).geometry;
  return {transposed_geometry(g.h, s.kernel.h, s.stride.h, s.pad.h),
          transposed_geometry(g.w, s.kernel.w, s.stride.w, s.pad.w)};
}

std::vector<TensorDesc> infer_avg(const Graph& graph, const Node& node) {
  const Size size = pooled_size<AvgPool2dSpec>(graph, node, std::get<AvgPool2dSpec>(node.spec).ceil);
  const Value& x = src(graph, node);
  return {{x.type, {x.shape.n, size.h, size.w, x.shape.c}}};
}

std::vector<TensorDesc> infer_global(const Graph& graph, const Node& node) {
  const Value& x = src(graph, node);
  return {{x.type, {x.shape.n, 1, 1, x.shape.c}}};
}

// One pixel that sees the whole map.
Geometry2d geometry_global(const Graph& graph, const Node& node) {
  const Value& x = src(graph, node);
  return {window_geometry(x.geometry.h, x.shape.h, x.shape.h, 0),
          window_geometry(x.geometry.w, x.shape.w, x.shape.w, 0)};
}

}  // namespace

const Operator max_pool2d_operator{
    "max_pool2d",
    infer_max,
    pooled_geometry<MaxPool2dSpec>,
    pooling_flops<MaxPool2dSpec>,
    [](GradientBuilder& g, const Node& n) { simple_gradient(g, n, {n.dst[1].value}); },
    [](const OpSpec& s, const Problem& p) { return max_pool2d_kernels(std::get<MaxPool2dSpec>(s), p); }};

const Operator max_unpool2d_operator{
    "max_unpool2d",
    infer_unpool,
    geometry_unpool,
    [](const Graph& g, const Node& n) { return elementwise_flops(g, n); },
    [](GradientBuilder& g, const Node& n) { simple_gradient(g, n, {n.src[1].value}); },
    [](const OpSpec& s, const Problem& p) { return max_unpool2d_kernels(std::get<MaxUnpool2dSpec>(s), p); }};

const Operator avg_pool2d_operator{
    "avg_pool2d",
    infer_avg,
    pooled_geometry<AvgPool2dSpec>,
    pooling_flops<AvgPool2dSpec>,
    [](GradientBuilder& g, const Node& n) { simple_gradient(g, n); },
    [](const OpSpec& s, const Problem& p) { return avg_pool2d_kernels(std::get<AvgPool2dSpec>(s), p); }};

const Operator global_avg_pool_operator{
    "global_avg_pool",
    infer_global,
    geometry_global,
    [](const Graph& g, const Node& n) { return elementwise_flops(g, n); },
    [](GradientBuilder& g, const Node& n) { simple_gradient(g, n); },
    [](const OpSpec& s, const Problem& p) { return global_avg_pool_kernels(std::get<GlobalAvgPoolSpec>(s), p); }};

}  // namespace pixelwise
