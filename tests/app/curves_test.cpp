// The curves of a run: every point is where its numbers put it.
#include "app/curves.hpp"

#include <gtest/gtest.h>

#include <iterator>
#include <sstream>
#include <vector>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

// The points of the path of this colour, as numbers.
std::vector<double> points(const std::string& svg, const std::string& colour) {
  const size_t attribute = svg.find(format("\" stroke=\"{}\" fill=\"none\"", colour));
  if (attribute == std::string::npos) return {};
  const size_t begin = svg.rfind("d=\"", attribute) + 3;
  std::string path = svg.substr(begin, attribute - begin);
  for (char& c : path) c = c == 'M' || c == 'L' ? ' ' : c;
  std::istringstream numbers(path);
  return {std::istream_iterator<double>(numbers), {}};
}
constexpr const char *loss_colour = "#4c78a8", *iou_colour = "#e45756", *accuracy_colour = "#54a24b";

TEST(Curves, PointsLieWhereTheNumbersPutThem) {
  const std::string svg = svg_of_metrics(
      "{\"step\":1,\"loss\":4.0}\n{\"step\":5,\"loss\":2.0}\n"
      "{\"step\":5,\"val\":{\"mean_iou_present\":0.25,\"pixel_accuracy\":0.5}}\n"
      "{\"step\":10,\"loss\":1.0}\n{\"step\":10,\"val\":{\"mean_iou_present\":0.75,\"pixel_accuracy\":1.0}}\n",
      "runs/a&b");
  // Panels of 360x200 at x = 50 and 480, y = 40 to 240; 10 steps across. The loss reaches up to 1.05 times its maximum.
  EXPECT_EQ(points(svg, loss_colour), (std::vector<double>{86, 49.5, 230, 144.8, 410, 192.4}));
  EXPECT_EQ(points(svg, iou_colour), (std::vector<double>{660, 190, 840, 90}));
  EXPECT_EQ(points(svg, accuracy_colour), (std::vector<double>{660, 140, 840, 40}));
  EXPECT_NE(svg.find(">0.750</text>"), std::string::npos) << "the best validation is marked";
  EXPECT_NE(svg.find("runs/a&amp;b"), std::string::npos);
}

TEST(Curves, LongTrainingsAreAveraged) {
  std::string metrics;
  for (int step = 1; step <= 1500; ++step) metrics += format("{{\"step\":{},\"loss\":{}}}\n", step, step % 2 ? 1 : 3);
  const std::vector<double> curve = points(svg_of_metrics(metrics, "long"), loss_colour);
  ASSERT_EQ(curve.size(), 2 * 150U);
  for (size_t i = 1; i < curve.size(); i += 2) EXPECT_EQ(curve[i], curve[1]) << "every run of ten steps averages to 2";
}

TEST(Curves, TakesRunsThatHaveJustBegunOrWereCutOff) {
  EXPECT_TRUE(points(svg_of_metrics("", "empty"), loss_colour).empty());
  const std::string svg =
      svg_of_metrics("{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":2.0}\n{\"step\":3,\"lo", "cut");
  EXPECT_EQ(points(svg, loss_colour).size(), 2U);
  EXPECT_THROW(svg_of_metrics("{\"step\":1,\"lo\n{\"step\":2,\"loss\":2.0}\n", "damaged"), DataError);
}

}  // namespace
}  // namespace pixelwise
