#include "app/report.hpp"

#include <cstdio>

#include "core/format.hpp"
#include "pixelwise/nn/describe.hpp"

namespace pixelwise {
namespace {

JsonValue::Array to_json(const std::vector<std::optional<double>>& values) {
  JsonValue::Array array(values.size());  // null each
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i]) array[i].value = *values[i];
  }
  return array;
}

}  // namespace

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) std::fputs(format("warning: {}\n", warning).c_str(), stderr);
}

JsonValue::Object metrics_json(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names) {
  const Metrics metrics = metrics_of(matrix);
  JsonValue::Array names, rows;
  for (const std::string& name : class_names) names.push_back(name);
  for (int64_t truth = 0; truth < matrix.classes(); ++truth) {
    JsonValue::Array row;
    for (int64_t predicted = 0; predicted < matrix.classes(); ++predicted)
      row.push_back(matrix.count(truth, predicted));
    rows.push_back(row);
  }
  return {{"images", metrics.images},
          {"pixels", metrics.pixels},
          {"ignored_pixels", metrics.ignored_pixels},
          {"pixel_accuracy", metrics.pixel_accuracy},
          {"mean_accuracy", metrics.mean_accuracy},
          {"mean_iou_voc", metrics.mean_iou_voc},
          {"mean_iou_present", metrics.mean_iou_present},
          {"mean_iou_foreground", metrics.mean_iou_foreground ? JsonValue(*metrics.mean_iou_foreground) : JsonValue()},
          {"mean_iou_per_image", metrics.mean_iou_per_image},
          {"fw_iou", metrics.fw_iou},
          {"classes", names},
          {"iou", to_json(metrics.iou)},
          {"accuracy", to_json(metrics.accuracy)},
          {"confusion_matrix", rows}};
}

}  // namespace pixelwise
