// What the vector kernels of memory-bound operators share: loops over the rows of a map on all threads, whole and
// partial vectors, activations.
#pragma once
#include "core/simd.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// The first n floats at p, at most a vector of them.
[[gnu::always_inline]] inline vfloat load_some(const float* p, int64_t n) {
  return n >= lanes ? load(p) : load_tail(p, n);
}
[[gnu::always_inline]] inline void store_some(float* p, vfloat v, int64_t n) {
  if (n >= lanes) return store(p, v);
  store_tail(p, v, n);
}
/// p[0..n) = v, or += v.
[[gnu::always_inline]] inline void put_some(float* p, vfloat v, int64_t n, Mode mode) {
  store_some(p, mode == Mode::add ? v + load_some(p, n) : v, n);
}

/// The same of a whole map that nobody reads before it is written. Of one that is larger than the L3 cache nothing
/// would be left there: it goes past the caches.
struct Writer {
  static constexpr int64_t cached_bytes = 16 << 20;
  bool add, past;
  [[gnu::always_inline]] explicit Writer(const Destination& dst)
      : add(dst.mode == Mode::add),
        past(!add && 4 * dst.view.shape.n * dst.view.shape.h * dst.view.shape.w * dst.view.shape.c >= cached_bytes) {}
  [[gnu::always_inline]] void operator()(float* p, vfloat v, int64_t n) const {
    if (past && n >= lanes && reinterpret_cast<uintptr_t>(p) % vector_bytes == 0) return stream(p, v);
    store_some(p, add ? v + load_some(p, n) : v, n);
  }
};

/// Are all pixels of the map one long row?
[[gnu::always_inline]] inline bool rows_adjoin(const View& v) {
  return v.row_stride == v.shape.w * v.pixel_stride && v.image_stride == v.shape.h * v.row_stride;
}

typedef uint8_t vbyte __attribute__((vector_size(vector_bytes / 4)));  ///< as many bytes as a vector has floats

[[gnu::always_inline]] inline vint load_bytes(const uint8_t* p, int64_t n) {
  vbyte bytes{};
  if (n >= lanes) {
    std::memcpy(&bytes, p, sizeof bytes);
  } else {
    for (int64_t i = 0; i < n; ++i) bytes[i] = p[i];
  }
  return __builtin_convertvector(bytes, vint);
}
[[gnu::always_inline]] inline void store_bytes(uint8_t* p, vint v, int64_t n) {
  const vbyte bytes = __builtin_convertvector(v, vbyte);
  if (n >= lanes) {
    std::memcpy(p, &bytes, sizeof bytes);
  } else {
    for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
  }
}

[[gnu::always_inline]] inline vfloat activate(vfloat v, Activation act) {
  if (act != Activation::none) v = v < zero() ? zero() : v;  // NaN stays NaN
  if (act == Activation::relu6) v = v > broadcast(6) ? broadcast(6) : v;
  return v;
}
/// g where the activation whose output is y let through.
[[gnu::always_inline]] inline vfloat gated(vfloat g, vfloat y, Activation act) {
  if (act == Activation::none) return g;
  g = y > zero() ? g : zero();
  return act == Activation::relu6 ? (y < broadcast(6) ? g : zero()) : g;
}

/// How many chunks for_rows cuts a map into: of about 64 KiB of floats, whole rows, from the shape only.
struct Rows {
  int64_t images, height, each;
  [[gnu::always_inline]] explicit Rows(const Shape& s)
      : images(s.n), height(s.h), each(16384 / (s.w * s.c > 0 ? s.w * s.c : 1)) {
    if (each < 1) each = 1;
  }
  [[gnu::always_inline]] int64_t chunks() const { return (images * height + each - 1) / each; }
};

/// fn(n, y, chunk, thread) for every row of a map of this shape, on all threads.
template <class Fn>
[[gnu::always_inline]] inline void for_rows(const Shape& shape, const Fn& fn) {
  const Rows rows(shape);
  parallel_for(rows.chunks(), [&](int64_t chunk, int thread) {
    const int64_t all = rows.images * rows.height, end = (chunk + 1) * rows.each;
    for (int64_t row = chunk * rows.each; row < (end < all ? end : all); ++row)
      fn(row / rows.height, row % rows.height, chunk, thread);
  });
}

/// Are the pixels of a row adjacent?
[[gnu::always_inline]] inline bool joined(const View& view) { return view.pixel_stride == view.shape.c; }

/// fn(n, y, x, floats) for every run of adjacent floats: a row where all maps are `joined`, else a pixel.
template <class Fn>
[[gnu::always_inline]] inline void for_runs(const Shape& shape, bool all_joined, const Fn& fn) {
  for_rows(shape, [&](int64_t n, int64_t y, int64_t, int) {
    if (all_joined) return fn(n, y, int64_t{0}, shape.w * shape.c);
    for (int64_t x = 0; x < shape.w; ++x) fn(n, y, x, shape.c);
  });
}

}  // namespace pixelwise::PIXELWISE_ISA
