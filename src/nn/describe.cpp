#include "pixelwise/nn/describe.hpp"

#include <algorithm>

#include "core/format.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {

std::vector<NodeRow> node_rows(const Graph& graph, const Plan& plan, Range nodes) {
  std::vector<NodeRow> rows;
  for (int i = nodes.begin; i < nodes.end; ++i) {
    const Node& node = graph.nodes[static_cast<size_t>(i)];
    const Value& dst = graph.at(node.dst[0].value);
    const Cost cost = cost_of(graph, node);
    NodeRow row{node.name, operator_of(node.spec).name, plan.kernels[static_cast<size_t>(i)].name, dst.shape};
    if (node.batch_norm) row.op += "+norm";
    if (node.residual != no_value) row.op += "+add";
    if (node.act != Activation::none) row.op += "+act";
    if (node.max_pool) row.op += "+pool";
    if (node.moments) row.op += "+moments";
    for_each_read(node, [&](ValueId id) {
      if (node.pass == Pass::forward && !node.replay && graph.at(id).storage == Storage::parameter)
        row.parameters += graph.at(id).shape.count();
    });
    row.flops = cost.flops;
    row.bytes = cost.bytes;
    row.field = dst.geometry.h.field;
    row.stride = dst.geometry.h.stride;
    rows.push_back(row);
  }
  return rows;
}

int64_t total_flops(const Graph& graph, Range nodes) {
  int64_t flops = 0;
  for (int i = nodes.begin; i < nodes.end; ++i) {
    const Node& node = graph.nodes[static_cast<size_t>(i)];
    flops += operator_of(node.spec).flops(graph, node);
  }
  return flops;
}

std::vector<std::string> warnings_of(const Graph& graph) {
  std::vector<std::string> warnings;
  for (const Node& node : graph.nodes) {
    const auto* conv = std::get_if<Conv2dSpec>(&node.spec);
    if (!conv || node.pass != Pass::forward || node.replay || conv->kernel == Size{1, 1}) continue;
    const Shape& map = graph.at(node.src[0].value).shape;
    if (conv->dilation.h > 1 && conv->dilation.h >= map.h && conv->dilation.w > 1 && conv->dilation.w >= map.w)
      warnings.push_back(
          format("node '{}': its rate {} lies wholly outside its map of {}: only the centre of the kernel sees "
                 "anything; use smaller rates, larger photos or crops, or a smaller output stride",
                 node.name, conv->dilation.h, to_string(map.size())));
  }
  return warnings;
}

std::string describe(const Graph& graph, const Plan& plan, Range nodes) {
  const std::vector<NodeRow> rows = node_rows(graph, plan, nodes);
  size_t width = 4;
  for (const NodeRow& row : rows) width = std::max(width, row.name.size());
  std::string text = format("{:<{}} {:<22} {:<14} {:>18} {:>12} {:>9} {:>8} {:>7} {:>9}\n", "node", width, "operator",
                            "kernel", "NxHxWxC", "parameters", "GFLOP", "field", "stride", "MiB");
  NodeRow total;
  for (const NodeRow& row : rows) {
    text += format("{:<{}} {:<22} {:<14} {:>18} {:>12} {:>9.3f} {:>8g} {:>7g} {:>9.2f}\n", row.name, width, row.op,
                   row.kernel, to_string(row.dst), row.parameters, static_cast<double>(row.flops) * 1e-9, row.field,
                   row.stride, static_cast<double>(row.bytes) / (1 << 20));
    total.parameters += row.parameters;
    total.flops += row.flops;
  }
  text +=
      format("{} nodes, {} parameters, {:.3f} GFLOP, arena {:.1f} MiB (most alive at once {:.1f} MiB)\n", rows.size(),
             total.parameters, static_cast<double>(total.flops) * 1e-9,
             static_cast<double>(plan.arena_bytes) / (1 << 20), static_cast<double>(plan.largest_moment) / (1 << 20));
  return text;
}

}  // namespace pixelwise
