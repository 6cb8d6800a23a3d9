#include "pixelwise/train/metrics.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

Image ids(int64_t h, int64_t w, std::vector<uint8_t> pixels) {
  Image image;
  image.height = h, image.width = w, image.channels = 1;
  image.pixels = std::move(pixels);
  return image;
}

// Rows truth, columns prediction:
//        0  1  2  3
//   0 |  3  1  0  0     union 5 (3 + 1 + 1)
//   1 |  1  2  1  0     union 5 (2 + 2 + 1)
//   2 |  0  0  0  0     only predicted: union 1, IoU 0
//   3 |  0  0  0  0     absent: no union
class FourClasses : public testing::Test {
 protected:
  FourClasses() : matrix(4, 255) {
    matrix.add("a", ids(2, 3, {0, 0, 0, 0, 255, 255}), ids(2, 3, {0, 0, 0, 1, 2, 3}));
    matrix.add("b", ids(1, 4, {1, 1, 1, 1}), ids(1, 4, {0, 1, 1, 2}));
  }
  ConfusionMatrix matrix;
};

TEST_F(FourClasses, CountsByHand) {
  EXPECT_EQ(matrix.count(0, 0), 3);
  EXPECT_EQ(matrix.count(0, 1), 1);
  EXPECT_EQ(matrix.count(1, 0), 1);
  EXPECT_EQ(matrix.count(1, 1), 2);
  EXPECT_EQ(matrix.count(1, 2), 1);
  EXPECT_EQ(matrix.pixels(), 8);
  EXPECT_EQ(matrix.ignored_pixels(), 2);
  EXPECT_EQ(matrix.images(), 2);
}

TEST_F(FourClasses, MetricsByHand) {
  const Metrics m = metrics_of(matrix);
  EXPECT_DOUBLE_EQ(m.pixel_accuracy, 5.0 / 8);
  EXPECT_DOUBLE_EQ(m.mean_accuracy, (3.0 / 4 + 2.0 / 4) / 2);
  EXPECT_DOUBLE_EQ(m.mean_iou_present, (3.0 / 5 + 2.0 / 5) / 2);
  EXPECT_DOUBLE_EQ(m.mean_iou_voc, (3.0 / 5 + 2.0 / 5 + 0) / 3) << "a class that is only predicted counts 0";
  EXPECT_DOUBLE_EQ(m.fw_iou, 0.5 * 3 / 5 + 0.5 * 2 / 5);
  EXPECT_DOUBLE_EQ(m.mean_iou_foreground.value(), 2.0 / 5) << "class 1 alone";
  EXPECT_EQ(m.iou[2], 0.0);
  EXPECT_FALSE(m.iou[3]) << "an absent class has no IoU";
  EXPECT_FALSE(m.accuracy[2]);
}

TEST_F(FourClasses, EveryImageByItself) {
  // a shows class 0 alone, 3 of 4 in the union; b class 1, 2 of 4.
  EXPECT_DOUBLE_EQ(metrics_of(matrix).mean_iou_per_image, (3.0 / 4 + 2.0 / 4) / 2);
  matrix.add("all void", ids(1, 2, {255, 255}), ids(1, 2, {0, 1}));
  EXPECT_DOUBLE_EQ(metrics_of(matrix).mean_iou_per_image, (3.0 / 4 + 2.0 / 4) / 2) << "an image without truth is none";
  matrix.add("c", ids(1, 2, {0, 3}), ids(1, 2, {3, 0}));
  EXPECT_DOUBLE_EQ(metrics_of(matrix).mean_iou_per_image, (3.0 / 4 + 2.0 / 4 + 0) / 3);
}

TEST(ConfusionMatrix, BackgroundAloneHasNoForeground) {
  ConfusionMatrix matrix(3, 255);
  matrix.add(0, 0, 5);
  matrix.add(0, 1, 5);
  EXPECT_FALSE(metrics_of(matrix).mean_iou_foreground);
  matrix.add(2, 2, 10);
  EXPECT_DOUBLE_EQ(metrics_of(matrix).mean_iou_foreground.value(), 1);
}

TEST_F(FourClasses, MergeAddsEverything) {
  ConfusionMatrix sum(4, 255);
  sum.merge(matrix);
  sum.merge(matrix);
  EXPECT_EQ(sum.count(0, 0), 6);
  EXPECT_EQ(sum.pixels(), 16);
  EXPECT_EQ(sum.ignored_pixels(), 4);
  EXPECT_EQ(sum.images(), 4);
  EXPECT_DOUBLE_EQ(metrics_of(sum).mean_iou_voc, metrics_of(matrix).mean_iou_voc);
  EXPECT_DOUBLE_EQ(metrics_of(sum).mean_iou_per_image, metrics_of(matrix).mean_iou_per_image);
  EXPECT_THROW(sum.merge(ConfusionMatrix(3, 255)), UsageError);
}

TEST(ConfusionMatrix, NothingCountedGivesZeros) {
  const Metrics m = metrics_of(ConfusionMatrix(2, 255));
  EXPECT_EQ(m.mean_iou_voc, 0);
  EXPECT_EQ(m.pixel_accuracy, 0);
  EXPECT_FALSE(m.iou[0]);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(ConfusionMatrix, ErrorsNameImagePixelAndValueAndChangeNothing) {
  ConfusionMatrix matrix(3, 255);
  const std::string bad_truth = message_of([&] {
    matrix.add("cat.png", ids(2, 2, {0, 1, 21, 0}), ids(2, 2, {0, 1, 2, 0}));
  });
  EXPECT_NE(bad_truth.find("cat.png"), std::string::npos) << bad_truth;
  EXPECT_NE(bad_truth.find("21"), std::string::npos) << bad_truth;
  EXPECT_NE(bad_truth.find("(row 1, column 0)"), std::string::npos) << bad_truth;
  const std::string bad_prediction = message_of([&] { matrix.add("dog.png", ids(1, 2, {0, 1}), ids(1, 2, {0, 255})); });
  EXPECT_NE(bad_prediction.find("prediction has id 255"), std::string::npos) << bad_prediction;
  const std::string size = message_of([&] { matrix.add("x", ids(1, 2, {0, 1}), ids(2, 1, {0, 1})); });
  EXPECT_NE(size.find("2x1"), std::string::npos) << size;
  EXPECT_EQ(matrix.pixels(), 0);
}

}  // namespace
}  // namespace pixelwise
