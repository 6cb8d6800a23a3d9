#include "pixelwise/core/view.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pixelwise {
namespace {

TEST(View, SlicesAndWindowsAreTheSameMemory) {
  std::vector<float> memory(2 * 4 * 5 * 3);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
  const View map = dense_view(memory.data(), Type::f32, {2, 4, 5, 3});
  EXPECT_TRUE(is_dense(map));
  const View part = channel_slice(window(image(map, 1), 1, 2, {2, 3}), 1, 2);
  EXPECT_FALSE(is_dense(part));
  EXPECT_EQ(part.shape, (Shape{1, 2, 3, 2}));
  EXPECT_EQ(part.at<float>(0, 1, 2)[1], memory[((1 * 4 + 2) * 5 + 4) * 3 + 2]);
}

TEST(Bf16, RoundsToNearestEvenAndKeepsNaN) {
  EXPECT_EQ(to_float(to_bf16(1.0f)), 1.0f);
  EXPECT_EQ(to_float(to_bf16(1.0f + 0x1p-8f)), 1.0f);                // a tie goes to even
  EXPECT_EQ(to_float(to_bf16(1.0f + 3 * 0x1p-8f)), 1.0f + 0x1p-6f);  // a tie goes to even, upwards
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
}

}  // namespace
}  // namespace pixelwise
