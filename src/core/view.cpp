#include "pixelwise/core/view.hpp"

#include <bit>

namespace pixelwise {

int64_t size_of(Type type) {
  switch (type) {
    case Type::f64:
      return 8;
    case Type::f32:
      return 4;
    case Type::bf16:
      return 2;
    case Type::u8:
      return 1;
    case Type::i32:
      return 4;
  }
  return 0;
}

const char* to_string(Type type) {
  switch (type) {
    case Type::f64:
      return "f64";
    case Type::f32:
      return "f32";
    case Type::bf16:
      return "bf16";
    case Type::u8:
      return "u8";
    case Type::i32:
      return "i32";
  }
  return "?";
}

float to_float(bf16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }

bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return {static_cast<uint16_t>((bits >> 16) | 0x40)};  // a quiet NaN, whatever its payload
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

View dense_view(void* data, Type type, const Shape& shape) {
  return {data, type, shape, shape.h * shape.w * shape.c, shape.w * shape.c, shape.c};
}

bool is_dense(const View& v) {
  return v.pixel_stride == v.shape.c && v.row_stride == v.shape.w * v.shape.c &&
         v.image_stride == v.shape.h * v.shape.w * v.shape.c;
}

namespace {
void* advanced(const View& v, int64_t elements) {
  return v.data ? static_cast<char*>(v.data) + elements * size_of(v.type) : nullptr;
}
}  // namespace

View channel_slice(const View& view, int64_t first, int64_t count) {
  View slice = view;
  slice.data = advanced(view, first);
  slice.shape.c = count;
  return slice;
}

View window(const View& view, int64_t top, int64_t left, Size size) {
  View part = view;
  part.data = advanced(view, top * view.row_stride + left * view.pixel_stride);
  part.shape.h = size.h;
  part.shape.w = size.w;
  return part;
}

View image(const View& view, int64_t n) {
  View one = view;
  one.data = advanced(view, n * view.image_stride);
  one.shape.n = 1;
  return one;
}

}  // namespace pixelwise
