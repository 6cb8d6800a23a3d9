// What the rules of the operators (nn/ops) share: access to operands, errors that name the node, simple geometry.
#pragma once
#include <string>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {

inline const Value& src(const Graph& graph, const Node& node, size_t i = 0) { return graph.at(node.src.at(i).value); }
inline const Value& dst(const Graph& graph, const Node& node, size_t i = 0) { return graph.at(node.dst.at(i).value); }

/// "node 'pool5': ..."
template <class... Args>
[[noreturn]] void reject(const Node& node, fmt::format_string<Args...> text, Args&&... args) {
  throw UsageError(format("node '{}': ", node.name) + format(text, std::forward<Args>(args)...));
}

/// Rejects a window that has no taps or does not move, and a negative border.
void check_window(const Node& node, Size kernel, Size stride, Size pad, Size dilation = {1, 1});

/// The terms of a sum get its finished gradient: one of them the value itself, the others a copy (by a node that is
/// called after the sum).
void hand_on(GradientBuilder& gradients, const Node& sum, ValueId gradient, const std::vector<ValueId>& terms);

/// dst is like src[0].
std::vector<TensorDesc> same_as_src(const Graph& graph, const Node& node);
Geometry2d same_geometry(const Graph& graph, const Node& node);
/// `per_element` operations for every element of the largest operand.
int64_t elementwise_flops(const Graph& graph, const Node& node, int64_t per_element = 1);

/// A window of `kernel` taps at `dilation`, moving by `stride`, starting `pad` before the map.
Geometry window_geometry(const Geometry& src, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1);
/// The transposed window: a finer map.
Geometry transposed_geometry(const Geometry& src, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1);

/// A backward node of `forward`, named after it, with its specification.
Node backward_node(const Node& forward, Pass pass);
/// The gradient of dst[0] before a fused activation: where there is one, appends the node that gates it.
ValueId gated_gradient(GradientBuilder& gradients, const Node& node);
/// Where src[0] wants a gradient: appends the backward node with src = {diff_dst, saved...}, dst = {diff_src}.
void simple_gradient(GradientBuilder& gradients, const Node& node, const std::vector<ValueId>& saved = {});

}  // namespace pixelwise
