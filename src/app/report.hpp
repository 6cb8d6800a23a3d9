// What the commands report: metrics as JSON, with the keys that scripts rely on (docs/design.md); warnings.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/io/json.hpp"
#include "pixelwise/nn/graph.hpp"
#include "pixelwise/train/metrics.hpp"

namespace pixelwise {

JsonValue::Object metrics_json(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names);
/// warnings_of the graph, a line each on stderr.
void print_warnings(const Graph& graph);

}  // namespace pixelwise
