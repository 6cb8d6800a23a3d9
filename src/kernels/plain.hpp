// What the definitions share: elements as double, loops over pixels, and the choice of the element type.
#pragma once
#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

inline double value_of(bf16 element) { return to_float(element); }
template <class T>
double value_of(T element) {
  return static_cast<double>(element);
}

/// Integers: truncated, and clamped to what they hold; NaN becomes 0.
template <class T>
T element_of(double value) {
  if constexpr (std::is_same_v<T, bf16>) {
    return to_bf16(static_cast<float>(value));
  } else if constexpr (std::is_integral_v<T>) {
    using Limits = std::numeric_limits<T>;
    if (value != value) return 0;
    return static_cast<T>(std::clamp<double>(value, Limits::min(), Limits::max()));
  } else {
    return static_cast<T>(value);
  }
}

/// dst = value, or dst += value.
template <class T>
void put(T& dst, double value, Mode mode) {
  dst = element_of<T>(mode == Mode::add ? value_of(dst) + value : value);
}

inline double activated(double x, Activation act) {
  if (act == Activation::none) return x;
  if (x < 0) x = 0;  // NaN stays NaN
  return act == Activation::relu6 && x > 6 ? 6 : x;
}
/// The activation's derivative, from its output.
inline double passes(double y, Activation act) {
  if (act == Activation::none) return 1;
  return y > 0 && (act == Activation::relu || y < 6) ? 1 : 0;
}

/// fn(n, y, x) for every pixel, in order.
template <class Fn>
void for_each_pixel(const Shape& shape, const Fn& fn) {
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t y = 0; y < shape.h; ++y) {
      for (int64_t x = 0; x < shape.w; ++x) fn(n, y, x);
    }
  }
}

/// Every element becomes 0, unless it is added to.
template <class T>
void clear(const Destination& dst) {
  if (dst.mode == Mode::add) return;
  for_each_pixel(dst.view.shape, [&](int64_t n, int64_t y, int64_t x) {
    for (int64_t c = 0; c < dst.view.shape.c; ++c) dst.view.at<T>(n, y, x)[c] = element_of<T>(0);
  });
}

/// The kernel `definition` for elements of `type`, one of Ts: fn.template operator()<T>(arguments).
template <class... Ts, class Fn>
Kernel definition_for(Type type, Fn fn) {
  Kernel kernel{"definition"};
  const auto match = [&]<class T>(Type of) {
    if (type == of) kernel.run = [fn](const Arguments& a) { fn.template operator()<T>(a); };
  };
  const auto type_of = []<class T>() {
    if constexpr (std::is_same_v<T, double>) return Type::f64;
    if constexpr (std::is_same_v<T, float>) return Type::f32;
    if constexpr (std::is_same_v<T, bf16>) return Type::bf16;
    if constexpr (std::is_same_v<T, uint8_t>) return Type::u8;
    if constexpr (std::is_same_v<T, int32_t>) return Type::i32;
  };
  (match.template operator()<Ts>(type_of.template operator()<Ts>()), ...);
  if (!kernel.run) kernel.declined = format("elements of type {} are not supported", to_string(type));
  return kernel;
}

}  // namespace pixelwise
