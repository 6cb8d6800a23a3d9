// A View is how every kernel sees memory: an element type, a shape and strides. It owns nothing.
#pragma once
#include <cstddef>
#include <cstdint>

#include "pixelwise/core/shape.hpp"

namespace pixelwise {

enum class Type : uint8_t { f64, f32, bf16, u8, i32 };  // f64: definitions and tests only

int64_t size_of(Type type);        ///< bytes of one element
const char* to_string(Type type);  ///< "f32"

/// A value of 16 bits: the upper half of a float (https://en.wikipedia.org/wiki/Bfloat16_floating-point_format).
struct bf16 {
  uint16_t bits = 0;
};
float to_float(bf16 value);
bf16 to_bf16(float value);  ///< rounds to nearest even; NaN stays NaN

/// Channels last; strides in elements; the channels of a pixel are contiguous. A crop, a strip of rows and a
/// slice of the channels are Views of the same memory.
struct View {
  void* data = nullptr;
  Type type = Type::f32;
  Shape shape;
  int64_t image_stride = 0, row_stride = 0, pixel_stride = 0;

  explicit operator bool() const { return data != nullptr; }

  /// The first channel of pixel (y, x) of image n. always_inline: files compiled for one instruction set share this
  /// header with all others, and must not emit a copy that the linker could choose for them.
  template <class T>
  [[gnu::always_inline]] T* at(int64_t n, int64_t y, int64_t x) const {
    return static_cast<T*>(data) + n * image_stride + y * row_stride + x * pixel_stride;
  }
  template <class T>
  [[gnu::always_inline]] T* as() const {
    return static_cast<T*>(data);
  }
};

/// A View of densely packed memory.
View dense_view(void* data, Type type, const Shape& shape);
/// Are all pixels adjacent, without gaps?
bool is_dense(const View& view);
/// Channels [first, first + count) of every pixel.
View channel_slice(const View& view, int64_t first, int64_t count);
/// The window of `size` whose upper left pixel is (top, left), in every image.
View window(const View& view, int64_t top, int64_t left, Size size);
/// Image n alone.
View image(const View& view, int64_t n);

}  // namespace pixelwise
