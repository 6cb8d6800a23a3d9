#include "app/monitor.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace pixelwise {
namespace {

Config config_of(const std::string& loss = "{}") {
  return parse_config_text(
      R"({"model": {"name": "tiny_fcn", "classes": 7}, "data": {"class_names": "shapes"}, "loss": )" + loss + "}",
      "test");
}

// All that is said during steps whose losses are `loss_of(step)`.
template <class LossOf>
std::vector<std::string> said(const Config& config, int64_t steps, const LossOf& loss_of) {
  Monitor monitor(config);
  std::vector<std::string> warnings;
  for (int64_t step = 1; step <= steps; ++step) {
    StepReport report;
    report.step = step, report.loss = loss_of(step), report.labelled_pixels = 1;
    if (const std::string warning = monitor.after_step(report); !warning.empty()) warnings.push_back(warning);
  }
  return warnings;
}

TEST(Monitor, ALossThatStaysAtGuessingIsSaidOnce) {
  const auto stuck = [](int64_t step) { return std::log(7.0) + 0.02 * std::sin(static_cast<double>(step)); };
  const std::vector<std::string> warnings = said(config_of(), 500, stuck);
  ASSERT_EQ(warnings.size(), 1u);
  for (const char* part : {"after 200 steps", "ln(7) = 1.9459", "optimizer.lr"})
    EXPECT_NE(warnings[0].find(part), std::string::npos) << warnings[0];
  EXPECT_TRUE(said(config_of(), 199, stuck).empty()) << "too early to tell";
  EXPECT_TRUE(said(config_of(R"({"normalize": "sum"})"), 500, stuck).empty()) << "a sum has no such value";
}

TEST(Monitor, ALossThatFallsIsNotTalkedAbout) {
  EXPECT_TRUE(
      said(config_of(), 500, [](int64_t step) { return 1.95 * std::exp(-0.002 * static_cast<double>(step)); }).empty());
  EXPECT_TRUE(said(config_of(), 500, [](int64_t) { return 1.8; }).empty());
  EXPECT_TRUE(said(config_of(), 500, [](int64_t) { return 2.2; }).empty());
}

TEST(Monitor, StepsWithoutLabelsAreNamedOnceAndCounted) {
  Monitor monitor(config_of());
  StepReport report;
  report.step = 5, report.names = {"a", "b"};
  const std::string warning = monitor.after_step(report);
  EXPECT_NE(warning.find("step 5"), std::string::npos) << warning;
  EXPECT_NE(warning.find("(a, b)"), std::string::npos) << warning;
  EXPECT_EQ(monitor.after_step(report), "");
  report.labelled_pixels = 3;
  EXPECT_EQ(monitor.after_step(report), "");
  EXPECT_EQ(monitor.void_steps(), 2);
}

// 1000 pixels, 700 of them of class 0; so many of the others are predicted rightly, the rest as class 0.
ConfusionMatrix matrix_of(int64_t others_right) {
  ConfusionMatrix matrix(7, 255);
  matrix.add(0, 0, 700), matrix.add(1, 1, others_right), matrix.add(1, 0, 300 - others_right);
  return matrix;
}

TEST(Monitor, OneClassForEveryPixelIsSaidOnceAtTheSecondTimeOrAtTheEnd) {
  Monitor monitor(config_of());
  EXPECT_EQ(monitor.after_validation(matrix_of(0), false), "");
  const std::string warning = monitor.after_validation(matrix_of(0), false);
  for (const char* part : {"100.00%", "class 0 (background)", "70.0% of the truth", "median_frequency"})
    EXPECT_NE(warning.find(part), std::string::npos) << warning;
  EXPECT_EQ(monitor.after_validation(matrix_of(0), true), "") << "said before";
  EXPECT_NE(Monitor(config_of()).after_validation(matrix_of(0), true), "");
}

TEST(Monitor, ClassesThatAreFoundAreNoCollapse) {
  Monitor monitor(config_of());
  EXPECT_EQ(monitor.after_validation(matrix_of(0), false), "");
  EXPECT_EQ(monitor.after_validation(matrix_of(20), false), "");
  EXPECT_EQ(monitor.after_validation(matrix_of(0), false), "") << "not twice in a row";
  EXPECT_EQ(monitor.after_validation(matrix_of(300), true), "");
  ConfusionMatrix plain(7, 255);  // there is nothing else to predict
  plain.add(0, 0, 1000), plain.add(1, 0, 5);
  EXPECT_EQ(Monitor(config_of()).after_validation(plain, true), "");
  EXPECT_EQ(Monitor(config_of()).after_validation(ConfusionMatrix(7, 255), true), "");
}

}  // namespace
}  // namespace pixelwise
