// Sizes and shapes of maps. All maps are channels last: N, H, W, C.
#pragma once
#include <cstdint>
#include <string>

namespace pixelwise {

/// A height and a width, in pixels (or kernel taps).
struct Size {
  int64_t h = 0, w = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

/// The shape of a map: batch, height, width, channels. A vector of C values is {1, 1, 1, C}.
struct Shape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t pixels() const { return n * h * w; }
  int64_t count() const { return n * h * w * c; }
  Size size() const { return {h, w}; }
  friend bool operator==(const Shape&, const Shape&) = default;
};

std::string to_string(const Size& size);    ///< "3x5"
std::string to_string(const Shape& shape);  ///< "4x320x320x21" (N x H x W x C)

}  // namespace pixelwise
