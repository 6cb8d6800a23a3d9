#include <gtest/gtest.h>

#include <cmath>

#include "pixelwise/core/error.hpp"
#include "pixelwise/train/optimizer.hpp"

namespace pixelwise {
namespace {

TEST(Schedule, FixedStaysAtOne) {
  const ScheduleOptions options{"fixed", 0.9, {}, 0.1, 0};
  EXPECT_EQ(schedule_factor(options, 0, 100), 1);
  EXPECT_EQ(schedule_factor(options, 99, 100), 1);
}

TEST(Schedule, StepMultipliesAtEachMilestone) {
  const ScheduleOptions options{"step", 0.9, {10, 20}, 0.1, 0};
  EXPECT_EQ(schedule_factor(options, 9, 100), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 10, 100), 0.1);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 19, 100), 0.1);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 20, 100), 0.01);
}

TEST(Schedule, PolyFallsFromOneToZero) {
  const ScheduleOptions options{"poly", 0.9, {}, 0.1, 0};
  EXPECT_EQ(schedule_factor(options, 0, 100), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 50, 100), std::pow(0.5, 0.9));
  EXPECT_GT(schedule_factor(options, 99, 100), 0);
  EXPECT_EQ(schedule_factor(options, 100, 100), 0);
  EXPECT_EQ(schedule_factor(options, 150, 100), 0) << "past the end";
}

TEST(Schedule, WarmUpIsLinearAndEndsAtTheSchedule) {
  const ScheduleOptions options{"poly", 1, {}, 0.1, 4};
  EXPECT_DOUBLE_EQ(schedule_factor(options, 0, 100), 0.25);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 1, 100), 0.5 * 0.99);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 3, 100), 0.97);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 4, 100), 0.96);
}

TEST(Schedule, UnknownNameIsAUsageError) {
  EXPECT_THROW(schedule_factor({"cosine", 0.9, {}, 0.1, 0}, 0, 10), UsageError);
}

}  // namespace
}  // namespace pixelwise
