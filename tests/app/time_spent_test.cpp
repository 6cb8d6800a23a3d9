#include "app/time_spent.hpp"

#include <gtest/gtest.h>

namespace pixelwise {
namespace {

StepReport step(double ms, double data_ms) {
  StepReport report;
  report.ms = ms, report.data_ms = data_ms;
  return report;
}

TEST(TimeSpent, SharesByHand) {
  TimeSpent spent;
  EXPECT_EQ(spent.text(), "");
  spent.add_step(step(100, 5), 0);
  spent.add_step(step(296, 3), 0.004);  // 400 ms in all: 8 waiting, 4 logging
  EXPECT_EQ(spent.text(), "200 ms a step: waiting for data 2.0%, logging 1.0%");
}

TEST(TimeSpent, CheckpointsAreCountedApart) {
  TimeSpent spent;
  spent.add_step(step(100, 0), 0);
  spent.add_checkpoint(3 << 20, 0.5);
  spent.add_checkpoint(3 << 20, 1.0);
  EXPECT_EQ(spent.text(), "100 ms a step: waiting for data 0.0%, logging 0.0%; 3.0 MiB and 0.75 s a checkpoint");
}

}  // namespace
}  // namespace pixelwise
