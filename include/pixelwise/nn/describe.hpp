// Text about a graph: the table of nodes that --dry-run and segdescribe print.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/nn/plan.hpp"

namespace pixelwise {

/// One row of the table of nodes.
struct NodeRow {
  std::string name, op, kernel;
  Shape dst;
  int64_t parameters = 0;  ///< elements
  int64_t flops = 0, bytes = 0;
  double field = 1, stride = 1;  ///< receptive field and stride of dst, vertical
};
std::vector<NodeRow> node_rows(const Graph& graph, const Plan& plan, Range nodes);
/// As a table with a header, aligned, and a line of totals.
std::string describe(const Graph& graph, const Plan& plan, Range nodes);
int64_t total_flops(const Graph& graph, Range nodes);
/// A sentence for every atrous convolution that sees nothing but the centre of its kernel, because its rate is larger
/// than its map (Chen et al. 2017, section 3.3: it degenerates to a 1x1 convolution).
std::vector<std::string> warnings_of(const Graph& graph);

}  // namespace pixelwise
