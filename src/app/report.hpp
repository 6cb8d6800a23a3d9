// What the commands report: metrics as JSON, with the keys that scripts rely on (docs/design.md); warnings.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/io/json.hpp"
#include "pixelwise/train/metrics.hpp"

namespace pixelwise {

JsonValue::Object metrics_json(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names);
/// A line each on stderr.
void print_warnings(const std::vector<std::string>& warnings);

}  // namespace pixelwise
