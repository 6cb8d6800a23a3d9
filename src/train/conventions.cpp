#include "pixelwise/train/conventions.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {
namespace {

using Values = std::vector<double>;

constexpr std::array<const char*, 5> names{"pixelwise", "voc", "torchvision", "mmseg", "paddleseg"};

// Pixels of each class: rightly predicted, in the truth, predicted.
struct Areas {
  explicit Areas(const ConfusionMatrix& matrix) {
    for (int64_t i = 0; i < matrix.classes(); ++i) {
      hit.push_back(static_cast<double>(matrix.count(i, i)));
      truth.push_back(0), predicted.push_back(0);
      for (int64_t j = 0; j < matrix.classes(); ++j) {
        truth.back() += static_cast<double>(matrix.count(i, j));
        predicted.back() += static_cast<double>(matrix.count(j, i));
      }
    }
  }
  Values either() const {  // the union
    Values sum(hit.size());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = truth[i] + predicted[i] - hit[i];
    return sum;
  }
  Values both() const {
    Values sum(hit.size());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = truth[i] + predicted[i];
    return sum;
  }
  Values hit, truth, predicted;
};

double sum_of(const Values& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

double mean_of(const Values& values) { return sum_of(values) / static_cast<double>(values.size()); }

Values defined(Values values) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double x) { return std::isnan(x); }), values.end());
  return values;
}

// scale * a / b; `nothing` for 0 / 0.
Values quotients(const Values& a, const Values& b, double scale = 1,
                 double nothing = std::numeric_limits<double>::quiet_NaN()) {
  Values result(a.size());
  for (size_t i = 0; i < a.size(); ++i) result[i] = b[i] > 0 ? scale * a[i] / b[i] : nothing;
  return result;
}

Values values_of(const std::vector<std::optional<double>>& values) {
  Values result;
  for (const auto& value : values) result.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
  return result;
}

void pixelwise_report(Report& report, const ConfusionMatrix& matrix) {
  const Metrics m = metrics_of(matrix);
  report.source = "Pixelwise, metrics_of";
  report.undefined = "-";
  report.columns = {{"iou", values_of(m.iou), "hits / pixels in truth or prediction"},
                    {"accuracy", values_of(m.accuracy), "hits / pixels in the truth"}};
  const double foreground = m.mean_iou_foreground.value_or(std::numeric_limits<double>::quiet_NaN());
  report.numbers = {{"mean_iou_voc", m.mean_iou_voc, "over the classes in truth or prediction (VOC devkit)"},
                    {"mean_iou_present", m.mean_iou_present, "over the classes in the truth"},
                    {"mean_iou_foreground", foreground, "over the classes in the truth, without class 0"},
                    {"mean_iou_per_image", m.mean_iou_per_image,
                     "mean_iou_present of every image by itself, averaged over the images"},
                    {"fw_iou", m.fw_iou, "weighted by the pixels of each class"},
                    {"pixel_accuracy", m.pixel_accuracy, "over all pixels"},
                    {"mean_accuracy", m.mean_accuracy, "over the classes in the truth"}};
}

void voc_report(Report& report, const Areas& areas) {
  report.source = "VOC 2012 devkit, VOCcode/VOCevalseg.m";
  report.decimals = 3;
  report.undefined = "NaN";
  report.columns = {{"accuracy", quotients(areas.hit, areas.either(), 100), "IoU in percent"}};
  report.numbers = {{"Average accuracy", mean_of(report.columns[0].values),
                     "percent; mean IoU over all classes, NaN where one is neither in truth nor prediction"}};
}

void torchvision_report(Report& report, const Areas& areas) {
  report.source = "torchvision, references/segmentation/utils.py, ConfusionMatrix";
  report.decimals = 1;
  report.columns = {{"average row correct", quotients(areas.hit, areas.truth, 100), "percent of the class's pixels"},
                    {"IoU", quotients(areas.hit, areas.either(), 100), "percent"}};
  report.numbers = {{"global correct", 100 * sum_of(areas.hit) / sum_of(areas.truth), "percent of all pixels"},
                    {"mean IoU", mean_of(report.columns[1].values),
                     "percent; over all classes, nan where one is neither in truth nor prediction"}};
}

void mmseg_report(Report& report, const Areas& areas) {
  report.source = "MMSegmentation 1.x, mmseg/evaluation/metrics/iou_metric.py, IoUMetric";
  report.decimals = 2;
  report.columns = {{"IoU", quotients(areas.hit, areas.either(), 100), "percent"},
                    {"Acc", quotients(areas.hit, areas.truth, 100), "percent of the class's pixels"}};
  report.numbers = {
      {"aAcc", 100 * sum_of(areas.hit) / sum_of(areas.truth), "percent of all pixels"},
      {"mIoU", mean_of(defined(report.columns[0].values)), "percent; over the classes in truth or prediction"},
      {"mAcc", mean_of(defined(report.columns[1].values)), "percent; over the classes in the truth"}};
}

void paddleseg_report(Report& report, const Areas& areas) {
  report.source = "PaddleSeg, paddleseg/utils/metrics.py";
  report.columns = {
      {"Class IoU", quotients(areas.hit, areas.either(), 1, 0), "0 for an absent class"},
      {"Class Precision", quotients(areas.hit, areas.predicted, 1, 0), "hits / predicted; older versions: Class Acc"},
      {"Class Recall", quotients(areas.hit, areas.truth, 1, 0), "hits / pixels in the truth"}};
  const double all = sum_of(areas.truth), right = sum_of(areas.hit) / all;
  double chance = 0;  // that truth and an unrelated prediction agree
  for (size_t i = 0; i < areas.hit.size(); ++i) chance += areas.truth[i] / all * areas.predicted[i] / all;
  const Values dice = quotients(areas.hit, areas.both(), 2, 0);
  report.numbers = {{"mIoU", mean_of(report.columns[0].values), "over all classes: an absent one counts 0"},
                    {"Acc", sum_of(areas.hit) / sum_of(areas.predicted), "over all pixels"},
                    {"Kappa", (right - chance) / (1 - chance), "Cohen's: agreement beyond chance"},
                    {"Dice", mean_of(dice), "2 hits / (truth + predicted), over all classes: an absent one counts 0"}};
}

std::string name_of(const std::vector<std::string>& class_names, size_t i) {
  return i < class_names.size() ? class_names[i] : format("class {}", i);
}

}  // namespace

const char* to_string(Convention convention) { return names.at(static_cast<size_t>(convention)); }

Convention convention_of(const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw UsageError(format("convention '{}' is unknown; use pixelwise, voc, torchvision, mmseg or paddleseg", name));
  return static_cast<Convention>(found - names.begin());
}

Report report_of(const ConfusionMatrix& matrix, Convention convention) {
  Report report;
  report.convention = convention;
  report.images = matrix.images();
  report.pixels = matrix.pixels();
  report.ignored_pixels = matrix.ignored_pixels();
  const Areas areas(matrix);
  switch (convention) {
    case Convention::pixelwise:
      pixelwise_report(report, matrix);
      break;
    case Convention::voc:
      voc_report(report, areas);
      break;
    case Convention::torchvision:
      torchvision_report(report, areas);
      break;
    case Convention::mmseg:
      mmseg_report(report, areas);
      break;
    case Convention::paddleseg:
      paddleseg_report(report, areas);
      break;
  }
  return report;
}

std::string report_table(const Report& report, const std::vector<std::string>& class_names) {
  const size_t classes = report.columns.at(0).values.size();
  size_t width = std::string("class").size();
  for (size_t i = 0; i < classes; ++i) width = std::max(width, name_of(class_names, i).size());
  for (const ReportNumber& number : report.numbers) width = std::max(width, number.name.size());
  const auto cell = [&](double x) {
    return std::isnan(x) ? std::string(report.undefined) : format("{:.{}f}", x, report.decimals);
  };
  const auto columns = [&](const std::string& name, const auto& text) {
    std::string line = format("{:<{}}", name, width);
    for (const ReportColumn& column : report.columns)
      line += format("  {:>{}}", text(column), std::max<size_t>(8, column.name.size()));
    return line + "\n";
  };

  std::string table = format("convention {}: {}\n", to_string(report.convention), report.source);
  table += columns("class", [](const ReportColumn& column) { return column.name; });
  for (size_t i = 0; i < classes; ++i)
    table += columns(name_of(class_names, i), [&](const ReportColumn& column) { return cell(column.values[i]); });
  table += std::string(width + 10, '-') + "\n";
  for (const ReportColumn& column : report.columns) table += format("{}: {}\n", column.name, column.meaning);
  for (const ReportNumber& number : report.numbers)
    table += format("{:<{}}  {:>8}  {}\n", number.name, width, cell(number.value), number.meaning);
  table += format("{} images, {} pixels counted, {} void\n", report.images, report.pixels, report.ignored_pixels);
  return table;
}

std::string report_csv(const Report& report, const std::vector<std::string>& class_names) {
  std::string text = "class";
  for (const ReportColumn& column : report.columns) text += format(",{}", column.name);
  text += '\n';
  for (size_t i = 0; i < report.columns.at(0).values.size(); ++i) {
    text += csv_cell(name_of(class_names, i));
    for (const ReportColumn& column : report.columns) {
      text += ',';
      if (!std::isnan(column.values[i])) text += format("{}", column.values[i]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace pixelwise
