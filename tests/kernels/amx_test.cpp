// The parts that the AMX kernels are made of; the kernels themselves are in conv2d_test.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/vector/amx_plan.hpp"
#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) all.push_back(static_cast<Isa>(i));
  return all;
}

float value_of_bf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// The bf16 nearest to x by looking at both neighbours: the even one where they are equally near.
float nearest(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const auto below = static_cast<uint16_t>(bits >> 16), above = static_cast<uint16_t>(below + 1);
  const double to_below = std::abs(static_cast<double>(x) - static_cast<double>(value_of_bf16(below))),
               to_above = std::abs(static_cast<double>(value_of_bf16(above)) - static_cast<double>(x));
  if (to_below == to_above) return value_of_bf16(below % 2 ? above : below);
  return value_of_bf16(to_below < to_above ? below : above);
}

// A dot is sums of 32 products of bf16, to the rounding of floats.
TEST(Amx, DotIsAPlainSum) {
  for (const Isa isa : isas()) {
    Random random(1, "dot");
    std::vector<uint16_t> a(16 * 32), b(16 * 32);
    std::vector<double> left(a.size()), right(b.size());  // [16][32] and [32][16]
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<uint16_t>(0x3f00 + random.next_below(512) + random.next_below(2) * 0x8000);
      left[i] = static_cast<double>(value_of_bf16(a[i]));
    }
    for (size_t k = 0; k < 32; ++k)
      for (size_t n = 0; n < 16; ++n) {
        const auto bits = static_cast<uint16_t>(0x3f00 + random.next_below(512) + random.next_below(2) * 0x8000);
        b[k / 2 * 32 + n * 2 + k % 2] = bits;
        right[k * 16 + n] = static_cast<double>(value_of_bf16(bits));
      }
    std::vector<float> sums(256);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<float>(i);
    amx_entries(isa).dot(a.data(), b.data(), sums.data());
    for (size_t m = 0; m < 16; ++m)
      for (size_t n = 0; n < 16; ++n) {
        double wanted = static_cast<double>(m * 16 + n), magnitude = wanted;
        for (size_t k = 0; k < 32; ++k) {
          wanted += left[m * 32 + k] * right[k * 16 + n];
          magnitude += std::abs(left[m * 32 + k] * right[k * 16 + n]);
        }
        EXPECT_NEAR(sums[m * 16 + n], wanted, 2e-6 * magnitude) << to_string(isa) << " " << m << " " << n;
      }
  }
}

TEST(Amx, SplitKeeps16BitsOfAFloat) {
  Random random(2, "split");
  std::vector<float> x = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -1.00390625f, 255.5f, 1e30f, -1e-30f, 3e-33f};
  for (int i = 0; i < 20000; ++i)
    x.push_back(static_cast<float>(random.next_uniform(-1, 1) * std::exp2(random.next_uniform(-100, 100))));
  const auto count = static_cast<int64_t>(x.size());
  for (const Isa isa : isas()) {
    std::vector<uint16_t> high(x.size() + 1, 0x5555), low(high);
    amx_entries(isa).split(x.data(), count, high.data(), low.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const float h = value_of_bf16(high[i]), l = value_of_bf16(low[i]);
      ASSERT_EQ(h, nearest(x[i])) << x[i];
      ASSERT_EQ(l, nearest(x[i] - h)) << x[i];
      const double value = x[i], rest = value - static_cast<double>(h);
      ASSERT_LE(std::abs(rest), std::ldexp(std::abs(value), -8)) << x[i];
      ASSERT_LE(std::abs(rest - static_cast<double>(l)), std::ldexp(std::abs(value), -17)) << x[i];
    }
    EXPECT_EQ(high.back(), 0x5555) << "written past the end";
    EXPECT_EQ(low.back(), 0x5555) << "written past the end";
  }
}

// What a training that diverges makes must stay visible, also a NaN that rounding would carry into its sign.
TEST(Amx, SplitHidesNoNaN) {
  float all_bits;
  const uint32_t bits = 0x7fffffff;
  std::memcpy(&all_bits, &bits, sizeof all_bits);
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : isas()) {
    for (const float x : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(), all_bits,
                          std::numeric_limits<float>::signaling_NaN(), infinity, -infinity}) {
      uint16_t high = 0, low = 0;
      amx_entries(isa).split(&x, 1, &high, &low);
      EXPECT_EQ(std::isnan(value_of_bf16(high)), std::isnan(x)) << x;
      EXPECT_FALSE(std::isfinite(value_of_bf16(high) + value_of_bf16(low))) << x;
    }
  }
}

}  // namespace
}  // namespace pixelwise
