#pragma once
#include <string>

namespace pixelwise {

/// Draws what metrics.jsonl holds (docs/design.md) as SVG: on the left the training loss, each point the mean of some
/// neighbouring steps (at most 150 points); on the right mean_iou_present and pixel_accuracy of every validation, with
/// the best mean_iou_present marked. A last line that was cut off is left out; throws DataError where another is no
/// JSON.
std::string svg_of_metrics(const std::string& metrics, const std::string& title);

}  // namespace pixelwise
