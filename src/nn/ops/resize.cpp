#include "pixelwise/kernels/resize.hpp"

#include "nn/ops/operators.hpp"
#include "nn/rules.hpp"

namespace pixelwise {
namespace {

std::vector<TensorDesc> infer(const Graph& graph, const Node& node) {
  const auto& s = std::get<ResizeSpec>(node.spec);
  const Value& x = src(graph, node);
  if (s.size.h < 1 || s.size.w < 1) reject(node, "cannot resize to {}: wanted at least 1x1", to_string(s.size));
  return {{x.type, {x.shape.n, s.size.h, s.size.w, x.shape.c}}};
}

// Pixel i of dst is centred on src pixel first + step * i, and blends its two neighbours.
Geometry resized(const Geometry& g, int64_t from, int64_t to, const ResizeSpec& s) {
  const bool corners = s.align_corners && s.interpolation == Interpolation::bilinear;
  const double step = corners ? (to > 1 ? static_cast<double>(from - 1) / static_cast<double>(to - 1) : 0)
                              : static_cast<double>(from) / static_cast<double>(to);
  const double first = corners ? 0 : (step - 1) / 2;
  const double blend = s.interpolation == Interpolation::bilinear ? 1 : 0;
  return {g.stride * step, g.offset + g.stride * first, g.field + g.stride * blend};
}

Geometry2d geometry(const Graph& graph, const Node& node) {
  const auto& s = std::get<ResizeSpec>(node.spec);
  const Value& x = src(graph, node);
  return {resized(x.geometry.h, x.shape.h, s.size.h, s), resized(x.geometry.w, x.shape.w, s.size.w, s)};
}

}  // namespace

const Operator resize_operator{
    "resize",
    infer,
    geometry,
    [](const Graph& g, const Node& n) { return elementwise_flops(g, n, 8); },
    [](GradientBuilder& g, const Node& n) { simple_gradient(g, n); },
    [](const OpSpec& s, const Problem& p) { return resize_kernels(std::get<ResizeSpec>(s), p); }};

}  // namespace pixelwise
