// What a confusion matrix is worth: as Pixelwise reports it, and as other tools print it. They agree on the IoU of a
// class that occurs, and differ in what an absent class counts, in what they call accuracy, and in percent or not.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/train/metrics.hpp"

namespace pixelwise {

enum class Convention : uint8_t { pixelwise, voc, torchvision, mmseg, paddleseg };

const char* to_string(Convention convention);
Convention convention_of(const std::string& name);  ///< throws UsageError, naming all of them

struct ReportColumn {
  std::string name;
  std::vector<double> values;  ///< one a class; NaN: undefined
  std::string meaning;
};
struct ReportNumber {
  std::string name;
  double value = 0;  ///< NaN: undefined
  std::string meaning;
};
/// All names, scales and numbers of decimals are the tool's.
struct Report {
  Convention convention = Convention::pixelwise;
  std::string source;  ///< where the tool computes them
  int decimals = 4;
  const char* undefined = "nan";  ///< how the tool prints NaN
  std::vector<ReportColumn> columns;
  std::vector<ReportNumber> numbers;
  int64_t images = 0, pixels = 0, ignored_pixels = 0;
};

/// With n_ij pixels of class i predicted as j, void left out:
/// - pixelwise: the numbers of Metrics.
/// - voc: VOCevalseg.m of the VOC 2012 devkit. "Accuracy" of a class is its IoU in percent; NaN where a class is
///   neither in truth nor prediction, and then the average is NaN too.
/// - torchvision: ConfusionMatrix of references/segmentation/utils.py. Percent; NaN as above, in the mean too; a class
///   that is only predicted has IoU 0 and a row accuracy of NaN.
/// - mmseg: IoUMetric of MMSegmentation 1.x with nan_to_num None. Percent; means leave out what is NaN, so that mAcc
///   is over the classes in the truth, mIoU over those in truth or prediction.
/// - paddleseg: mean_iou, class_measurement, kappa and dice of PaddleSeg's paddleseg/utils/metrics.py. Fractions; an
///   absent class counts 0 in every mean; Acc is over all pixels.
Report report_of(const ConfusionMatrix& matrix, Convention convention);

/// A line for each class, then every number with its meaning. Classes without a name are numbered.
std::string report_table(const Report& report, const std::vector<std::string>& class_names);
/// The columns; a cell is empty where it is undefined.
std::string report_csv(const Report& report, const std::vector<std::string>& class_names);

}  // namespace pixelwise
