// What other tools print for a confusion matrix, worked out by hand from their sources.
#include "pixelwise/train/conventions.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Rows truth, columns prediction:
//        0  1  2  3
//   0 |  3  1  0  0     truth 4, predicted 4, union 5
//   1 |  1  2  1  0     truth 4, predicted 3, union 5
//   2 |  0  0  0  0     truth 0, predicted 1, union 1: only predicted
//   3 |  0  0  0  0     absent
// and two void pixels, predicted as 2 and 3.
ConfusionMatrix example(int64_t classes) {
  ConfusionMatrix matrix(classes, 255);
  matrix.add(0, 0, 3), matrix.add(0, 1), matrix.add(1, 0), matrix.add(1, 1, 2), matrix.add(1, 2);
  matrix.add(255, 2), matrix.add(255, 3);
  return matrix;
}

void expect_columns(const Report& report, const std::vector<ReportColumn>& wanted) {
  ASSERT_EQ(report.columns.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ReportColumn& column = report.columns[i];
    EXPECT_EQ(column.name, wanted[i].name);
    ASSERT_EQ(column.values.size(), wanted[i].values.size()) << column.name;
    for (size_t c = 0; c < column.values.size(); ++c) {
      if (std::isnan(wanted[i].values[c]))
        EXPECT_TRUE(std::isnan(column.values[c])) << column.name << ' ' << c << " is " << column.values[c];
      else
        EXPECT_NEAR(column.values[c], wanted[i].values[c], 1e-12) << column.name << ' ' << c;
    }
  }
}

void expect_numbers(const Report& report, const std::vector<std::pair<std::string, double>>& wanted) {
  ASSERT_EQ(report.numbers.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto& [name, value] = wanted[i];
    EXPECT_EQ(report.numbers[i].name, name);
    EXPECT_FALSE(report.numbers[i].meaning.empty()) << name;
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(report.numbers[i].value)) << name << " is " << report.numbers[i].value;
    else
      EXPECT_NEAR(report.numbers[i].value, value, 1e-12) << name;
  }
}

TEST(Conventions, Pixelwise) {
  const Report report = report_of(example(4), Convention::pixelwise);
  expect_columns(report, {{"iou", {0.6, 0.4, 0, nan}, ""}, {"accuracy", {0.75, 0.5, nan, nan}, ""}});
  expect_numbers(report, {{"mean_iou_voc", 1.0 / 3},
                          {"mean_iou_present", 0.5},
                          {"mean_iou_foreground", 0.4},
                          {"mean_iou_per_image", 0},
                          {"fw_iou", 0.5},
                          {"pixel_accuracy", 0.625},
                          {"mean_accuracy", 0.625}});
}

TEST(Conventions, VocDevkit) {
  const Report report = report_of(example(4), Convention::voc);
  expect_columns(report, {{"accuracy", {60, 40, 0, nan}, ""}});
  expect_numbers(report, {{"Average accuracy", nan}});
  // Without the absent class it is Pixelwise's mean_iou_voc.
  expect_numbers(report_of(example(3), Convention::voc), {{"Average accuracy", 100.0 / 3}});
}

TEST(Conventions, Torchvision) {
  const Report report = report_of(example(4), Convention::torchvision);
  expect_columns(report, {{"average row correct", {75, 50, nan, nan}, ""}, {"IoU", {60, 40, 0, nan}, ""}});
  expect_numbers(report, {{"global correct", 62.5}, {"mean IoU", nan}});
  expect_numbers(report_of(example(3), Convention::torchvision), {{"global correct", 62.5}, {"mean IoU", 100.0 / 3}});
}

TEST(Conventions, MMSegmentation) {
  const Report report = report_of(example(4), Convention::mmseg);
  expect_columns(report, {{"IoU", {60, 40, 0, nan}, ""}, {"Acc", {75, 50, nan, nan}, ""}});
  expect_numbers(report, {{"aAcc", 62.5}, {"mIoU", 100.0 / 3}, {"mAcc", 62.5}});
}

TEST(Conventions, PaddleSeg) {
  const Report report = report_of(example(4), Convention::paddleseg);
  expect_columns(report, {{"Class IoU", {0.6, 0.4, 0, 0}, ""},
                          {"Class Precision", {0.75, 2.0 / 3, 0, 0}, ""},
                          {"Class Recall", {0.75, 0.5, 0, 0}, ""}});
  // Agreement by chance: (4 * 4 + 4 * 3) / 8^2 = 28 / 64; dice: 6 / 8 and 4 / 7.
  expect_numbers(report, {{"mIoU", 0.25},
                          {"Acc", 0.625},
                          {"Kappa", (40.0 / 64 - 28.0 / 64) / (36.0 / 64)},
                          {"Dice", (6.0 / 8 + 4.0 / 7) / 4}});
}

TEST(Conventions, TablesPrintAsTheToolsDo) {
  const std::vector<std::string> names{"background", "a rather long class name", "car"};
  const auto expect_parts = [&](Convention convention, const std::vector<std::string>& parts) {
    const std::string table = report_table(report_of(example(4), convention), names);
    for (const std::string& part : parts)
      EXPECT_NE(table.find(part), std::string::npos) << part << " is missing in\n" << table;
  };
  expect_parts(Convention::pixelwise, {"background", "a rather long class name", "class 3", "0.6000", "mean_iou_voc",
                                       "0.3333", "over the classes in the truth", "8 pixels counted, 2 void"});
  expect_parts(Convention::voc, {"VOCevalseg.m", "60.000", "NaN"});
  expect_parts(Convention::torchvision, {"references/segmentation", "62.5", "75.0", "nan"});
  expect_parts(Convention::mmseg, {"iou_metric.py", "33.33", "62.50", "nan"});
  expect_parts(Convention::paddleseg, {"paddleseg/utils/metrics.py", "0.2500", "0.3333", "Kappa"});
  const std::string ours = report_table(report_of(example(4), Convention::pixelwise), names);
  EXPECT_EQ(ours.find("nan"), std::string::npos) << ours;
}

TEST(Conventions, CsvLeavesUndefinedCellsEmpty) {
  EXPECT_EQ(report_csv(report_of(example(4), Convention::pixelwise), {"a, old", "b"}),
            "class,iou,accuracy\n\"a, old\",0.6,0.75\nb,0.4,0.5\nclass 2,0,\nclass 3,,\n");
}

TEST(Conventions, NothingCountedIsUndefined) {
  const ConfusionMatrix empty(2, 255);
  for (const auto convention : {Convention::voc, Convention::torchvision, Convention::mmseg}) {
    for (const ReportNumber& number : report_of(empty, convention).numbers)
      EXPECT_TRUE(std::isnan(number.value)) << to_string(convention) << ' ' << number.name;
  }
  EXPECT_EQ(report_of(empty, Convention::paddleseg).numbers[0].value, 0);
}

TEST(Conventions, NamesAreReadBack) {
  for (const char* name : {"pixelwise", "voc", "torchvision", "mmseg", "paddleseg"})
    EXPECT_STREQ(to_string(convention_of(name)), name);
  EXPECT_THROW(convention_of("coco"), UsageError);
}

}  // namespace
}  // namespace pixelwise
