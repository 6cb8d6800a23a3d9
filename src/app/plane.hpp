#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "pixelwise/core/shape.hpp"

namespace pixelwise {

/// One number for every pixel.
struct Plane {
  Size size;
  std::vector<float> values;

  explicit Plane(Size s = {0, 0}, float value = 0) : size(s), values(static_cast<size_t>(s.h * s.w), value) {}
  float& at(int64_t y, int64_t x) { return values[static_cast<size_t>(y * size.w + x)]; }
  float at(int64_t y, int64_t x) const { return values[static_cast<size_t>(y * size.w + x)]; }

  /// Pixel (y, x) of this plane enlarged by a factor: bilinear, half-pixel centres, borders repeated.
  float enlarged(int64_t y, int64_t x, int64_t factor) const {
    const auto between = [&](int64_t i, int64_t extent) {
      const float at = (static_cast<float>(i) + 0.5F) / static_cast<float>(factor) - 0.5F;
      return std::clamp(at, 0.F, static_cast<float>(extent - 1));
    };
    const float v = between(y, size.h), u = between(x, size.w);
    const auto top = static_cast<int64_t>(v), left = static_cast<int64_t>(u);
    const int64_t bottom = std::min(top + 1, size.h - 1), right = std::min(left + 1, size.w - 1);
    const float fy = v - static_cast<float>(top), fx = u - static_cast<float>(left);
    const float upper = at(top, left) + fx * (at(top, right) - at(top, left));
    const float lower = at(bottom, left) + fx * (at(bottom, right) - at(bottom, left));
    return upper + fy * (lower - upper);
  }
};

}  // namespace pixelwise
