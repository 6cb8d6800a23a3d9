#include "pixelwise/core/rng.hpp"

#include <gtest/gtest.h>

namespace pixelwise {
namespace {

TEST(Random, IsAPureFunctionOfKeyAndCounter) {
  Random a(7, "test", 1, 2, 3);
  const Random b(7, "test", 1, 2, 3);
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(a.next_bits(), b.bits(i));
}

TEST(Random, EveryPartOfTheKeyMatters) {
  const uint64_t reference = Random(7, "test", 1, 2, 3).bits(0);
  EXPECT_NE(reference, Random(8, "test", 1, 2, 3).bits(0));
  EXPECT_NE(reference, Random(7, "tesu", 1, 2, 3).bits(0));
  EXPECT_NE(reference, Random(7, "test", 2, 2, 3).bits(0));
  EXPECT_NE(reference, Random(7, "test", 1, 3, 3).bits(0));
  EXPECT_NE(reference, Random(7, "test", 1, 2, 4).bits(0));
}

TEST(Random, MomentsOfUniformAndNormal) {
  const Random random(1, "moments");
  double sum = 0, square = 0, normal = 0, normal_square = 0;
  const int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double u = random.uniform(i), g = random.normal(i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u, square += u * u, normal += g, normal_square += g * g;
  }
  EXPECT_NEAR(sum / count, 0.5, 0.005);
  EXPECT_NEAR(square / count, 1.0 / 3, 0.005);
  EXPECT_NEAR(normal / count, 0, 0.02);
  EXPECT_NEAR(normal_square / count, 1, 0.02);
}

TEST(Random, BelowCoversItsRangeEvenly) {
  Random random(3, "below");
  int counts[5] = {};
  for (int i = 0; i < 50000; ++i) ++counts[random.next_below(5)];
  for (const int n : counts) EXPECT_NEAR(n, 10000, 400);
}

}  // namespace
}  // namespace pixelwise
