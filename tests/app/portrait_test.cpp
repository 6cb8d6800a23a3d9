// Portrait mode: the guided filter against its definition, and what must be true of a blurred background.
#include "app/portrait.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "app/guided_filter.hpp"
#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

Image noise(int64_t height, int64_t width, uint64_t seed) {
  Image image(height, width, 3);
  Random random(seed);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random.next_below(256));
  return image;
}

// A person-sized rectangle: rows [top, bottom), columns [left, right).
Plane rectangle(Size size, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  Plane mask(size);
  for (int64_t y = top; y < bottom; ++y) {
    for (int64_t x = left; x < right; ++x) mask.at(y, x) = 1;
  }
  return mask;
}

// A x = b by Gauss elimination of {A | b}.
std::array<double, 3> solve(std::array<std::array<double, 4>, 3> m) {
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      if (j == i) continue;
      const double factor = m[j][i] / m[i][i];
      for (size_t k = 0; k < 4; ++k) m[j][k] -= factor * m[i][k];
    }
  }
  return {m[0][3] / m[0][0], m[1][3] / m[1][1], m[2][3] / m[2][2]};
}

// He, Sun, Tang 2010: in each window a linear regression of the mask on the colours, whose factors squared cost
// epsilon; at each pixel, the mean of the windows around it.
double guided_by_definition(const Image& photo, const Plane& mask, int64_t radius, double epsilon, int64_t y,
                            int64_t x) {
  const auto clip = [](int64_t i, int64_t extent) { return std::clamp<int64_t>(i, 0, extent - 1); };
  const int64_t h = photo.height, w = photo.width;
  double sum = 0;
  int windows = 0;
  for (int64_t v = clip(y - radius, h); v <= clip(y + radius, h); ++v) {
    for (int64_t u = clip(x - radius, w); u <= clip(x + radius, w); ++u, ++windows) {
      std::vector<std::array<double, 4>> samples;  // red, green, blue, mask
      for (int64_t b = clip(v - radius, h); b <= clip(v + radius, h); ++b) {
        for (int64_t a = clip(u - radius, w); a <= clip(u + radius, w); ++a) {
          const uint8_t* p = photo.at(b, a);
          samples.push_back({p[0] / 255.0, p[1] / 255.0, p[2] / 255.0, mask.at(b, a)});
        }
      }
      const auto count = static_cast<double>(samples.size());
      std::array<double, 4> mean{};
      for (const auto& s : samples) {
        for (size_t i = 0; i < 4; ++i) mean[i] += s[i] / count;
      }
      std::array<std::array<double, 4>, 3> system{};
      for (size_t i = 0; i < 3; ++i) {
        for (const auto& s : samples) {
          for (size_t j = 0; j < 4; ++j) system[i][j] += (s[i] - mean[i]) * (s[j] - mean[j]) / count;
        }
        system[i][i] += epsilon;
      }
      const std::array<double, 3> factors = solve(system);
      sum += mean[3];
      for (size_t i = 0; i < 3; ++i) sum += factors[i] * (photo.at(y, x)[i] / 255.0 - mean[i]);
    }
  }
  return sum / windows;
}

TEST(GuidedFilter, IsItsDefinition) {
  const Image photo = noise(9, 13, 1);
  Plane mask({9, 13});
  Random random(2);
  for (float& value : mask.values) value = static_cast<float>(random.next_uniform());
  const Plane filtered = guided_filter(photo, mask, 2, 0.01).on(photo);
  for (int64_t y = 0; y < 9; ++y) {
    for (int64_t x = 0; x < 13; ++x)
      ASSERT_NEAR(filtered.at(y, x), guided_by_definition(photo, mask, 2, 0.01, y, x), 1e-5) << y << ' ' << x;
  }
}

// A mask that is three pixels off, and blurred, finds the photo's edge; on a photo four times as large, too.
TEST(GuidedFilter, MovesTheMaskToTheEdgeOfThePhoto) {
  constexpr int64_t edge = 20;
  Image photo(40, 40, 3, 60);
  for (int64_t y = 0; y < 40; ++y) std::fill(photo.at(y, edge), photo.at(y, 0) + 40 * 3, uint8_t{200});
  Plane mask({40, 40});
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 40; ++x) mask.at(y, x) = std::clamp(0.5F + (static_cast<float>(x) - 22.5F) / 8, 0.F, 1.F);
  }
  const GuidedMask guided = guided_filter(photo, mask, 8, 1e-4);
  const Plane same = guided.on(photo);
  EXPECT_LT(same.at(20, edge - 1), 0.35F);
  EXPECT_GT(same.at(20, edge), 0.55F);
  EXPECT_LT(std::abs(mask.at(20, edge) - mask.at(20, edge - 1)), 0.2F);  // the mask's own slope

  Image large(160, 160, 3);
  for (int64_t y = 0; y < 160; ++y) {
    for (int64_t x = 0; x < 160; ++x) std::copy_n(photo.at(y / 4, x / 4), 3, large.at(y, x));
  }
  const Plane fine = guided.on(large, 4);
  EXPECT_EQ(fine.size, (Size{160, 160}));
  EXPECT_GT(fine.at(80, 4 * edge) - fine.at(80, 4 * edge - 1), 0.2F);  // as sharp as the large photo's edge
}

TEST(Portrait, TheSubjectStaysAsItIs) {
  const Image photo = noise(40, 50, 3);
  const Plane mask = rectangle({40, 50}, 10, 40, 20, 30);
  const Image result = blur_background(photo, mask, defocus(mask), 1, 4);
  int changed = 0;
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 50; ++x) {
      const bool same = std::equal(photo.at(y, x), photo.at(y, x) + 3, result.at(y, x));
      if (mask.at(y, x) == 1) {
        ASSERT_TRUE(same) << y << ' ' << x;
      } else {
        changed += !same;
      }
    }
  }
  EXPECT_GT(changed, 1500);  // of 1700
}

// A white subject before grey: not one pixel of the background becomes lighter.
TEST(Portrait, TheSubjectLeavesNoHalo) {
  Image photo(60, 60, 3, 100);
  const Plane mask = rectangle({60, 60}, 20, 60, 25, 35);
  for (int64_t y = 20; y < 60; ++y) std::fill(photo.at(y, 25), photo.at(y, 35), uint8_t{255});
  const Image result = blur_background(photo, mask, defocus(mask), 1, 8);
  EXPECT_EQ(result.pixels, photo.pixels);
}

// A point of light becomes an even disc: linear light is shared among its pixels, and none is lost.
TEST(Portrait, APointOfLightBecomesADisc) {
  Image photo(41, 41, 3);
  std::fill_n(photo.at(20, 20), 3, uint8_t{255});
  const Image result = blur_background(photo, Plane({41, 41}), Plane({41, 41}, 1), 1, 5);
  int lit = 0;
  for (int64_t y = 0; y < 41; ++y) {
    for (int64_t x = 0; x < 41; ++x) {
      const double distance = std::hypot(static_cast<double>(y - 20), static_cast<double>(x - 20));
      const bool inside = *result.at(y, x) > 0;
      lit += inside;
      if (distance < 4.8 || distance > 5.5) {
        EXPECT_EQ(inside, distance < 5) << y << ' ' << x;
      }
      if (inside) {
        EXPECT_EQ(*result.at(y, x), *result.at(20, 20));
      }
    }
  }
  const double light = 1.0 / lit;  // of each pixel, linear
  EXPECT_NEAR(*result.at(20, 20), 255 * (1.055 * std::pow(light, 1 / 2.4) - 0.055), 1);
}

TEST(Portrait, WhatIsFartherIsBlurredMore) {
  const Plane standing = defocus(rectangle({100, 80}, 30, 80, 35, 45));
  EXPECT_LT(standing.at(78, 33), 0.1F);  // the ground at the feet
  EXPECT_LT(standing.at(78, 33), standing.at(60, 33));
  EXPECT_LT(standing.at(60, 33), standing.at(45, 33));
  EXPECT_EQ(standing.at(5, 33), 1);
  EXPECT_LT(standing.at(78, 33), standing.at(78, 5));  // aside
  const Plane cut_off = defocus(rectangle({100, 80}, 30, 100, 35, 45));
  EXPECT_EQ(cut_off.at(99, 30), 1);
}

TEST(Portrait, ShrinksByMeans) {
  Image photo(3, 5, 1);
  for (size_t i = 0; i < photo.pixels.size(); ++i) photo.pixels[i] = static_cast<uint8_t>(10 * i);
  const Image small = shrink(photo, 2);
  EXPECT_EQ(small.size(), (Size{2, 3}));
  EXPECT_EQ(small.pixels, (std::vector<uint8_t>{30, 50, 65, 105, 125, 140}));
  EXPECT_EQ(shrink(photo, 1).pixels, photo.pixels);
}

}  // namespace
}  // namespace pixelwise
