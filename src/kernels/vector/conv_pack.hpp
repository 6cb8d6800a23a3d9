// Packs a rectangle of a map, borders included, into scratch, and applies the Source on the way.
#pragma once
#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {

[[gnu::always_inline]] inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
[[gnu::always_inline]] inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

struct Span {
  int64_t first, last;
};
/// The pixels q in [q0, q1) for which q * stride + shift lies in [0, extent).
[[gnu::always_inline]] inline Span inside(int64_t q0, int64_t q1, int64_t stride, int64_t shift, int64_t extent) {
  const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t last = extent - 1 - shift < 0 ? 0 : (extent - 1 - shift) / stride + 1;
  return {most(first, q0), least(last, q1)};
}

/// Channels [c, c + lanes) of a pixel whose first channel is at p, as the Source gives them; 0 past the last.
[[gnu::always_inline]] inline vfloat load_source(const Source& s, const float* p, int64_t c, int64_t left) {
  vfloat v = load_some(p + c, left);
  if (s.scale) v = v * load_some(s.scale.as<float>() + c, left);
  if (s.shift) v = v + load_some(s.shift.as<float>() + c, left);
  return activate(v, s.act);
}

/// The channels [c0, c0 + channels) of `columns` pixels from `from`: act(scale * x + shift).
inline void pack_pixels(const Source& s, const float* from, int64_t columns, int64_t c0, int64_t channels, float* to) {
  const int64_t step = s.view.pixel_stride;
  if (s.plain() && step == channels) {
    std::memcpy(to, from, static_cast<size_t>(columns * channels) * sizeof(float));
    return;
  }
  for (int64_t x = 0; x < columns; ++x, from += step, to += channels) {
    for (int64_t c = 0; c < channels; c += lanes)
      store_some(to + c, load_source(s, from - c0, c0 + c, channels - c), channels - c);
  }
}

/// Rows [top, top + rows) and columns [left, left + columns) of image n, densely; 0 outside the map.
inline void pack_rectangle(const Source& s, int64_t n, int64_t top, int64_t rows, int64_t left, int64_t columns,
                           int64_t c0, int64_t channels, float* to) {
  const Shape& map = s.view.shape;
  const int64_t first = least(most(-left, 0), columns), last = most(least(map.w - left, columns), first);
  const auto clear = [&](float* p, int64_t pixels) {
    std::memset(p, 0, static_cast<size_t>(pixels * channels) * sizeof(float));
  };
  for (int64_t y = top; y < top + rows; ++y, to += columns * channels) {
    if (y < 0 || y >= map.h) {
      clear(to, columns);
      continue;
    }
    clear(to, first);
    if (last > first)
      pack_pixels(s, s.view.at<float>(n, y, left + first) + c0, last - first, c0, channels, to + first * channels);
    clear(to + last * channels, columns - last);
  }
}

/// A panel of weights: to[c][0..width) = from[o * row + c] for the outputs o < count, 0 for the others. What is `ahead`
/// in each of the rows is asked for, into L1 (locality 3) or L2 (2, where lines some pages apart would push each other
/// out of L1): they lie too far apart for the processor to see where it goes on.
template <int locality = 3>
void pack_outputs(const float* from, int64_t row, int64_t count, int64_t channels, int64_t width, float* to,
                  int64_t ahead = 16) {
  for (int64_t c0 = 0; c0 < channels; c0 += lanes) {
    for (int64_t o0 = 0; o0 < width; o0 += lanes) {
      vfloat v[lanes];
#pragma GCC unroll 16
      for (int o = 0; o < lanes; ++o) {
        const float* at = from + (o0 + o) * row + c0;
        __builtin_prefetch(at + ahead, 0, locality);
        v[o] = o0 + o < count ? load_some(at, channels - c0) : zero();
      }
      transpose(v);
      for (int64_t c = 0; c < least(lanes, channels - c0); ++c) store(to + (c0 + c) * width + o0, v[c]);
    }
  }
}
/// The same of from[c * row + o]; what lies `ahead` floats further is asked for, into L2.
inline void copy_outputs(const float* from, int64_t row, int64_t count, int64_t channels, int64_t width, float* to,
                         int64_t ahead = 0) {
  for (int64_t c = 0; c < channels; ++c, from += row, to += width) {
    for (int64_t o = 0; o < width; o += lanes) {
      __builtin_prefetch(from + o + ahead, 0, 2);
      store(to + o, load_some(from + o, most(0, count - o)));
    }
  }
}

/// act(scale sum + shift + residual) * act'(gate) of channels [c, c + left).
[[gnu::always_inline]] inline vfloat finished(vfloat v, const Epilogue& e, int64_t c, const float* residual,
                                              const float* gate, int64_t left) {
  if (e.scale) v = fma(v, load_some(e.scale.as<float>() + c, left), load_some(e.shift.as<float>() + c, left));
  if (residual) v = v + load_some(residual, left);
  v = activate(v, e.act);
  if (gate) v = gated(v, load_some(gate, left), e.gate_act);
  return v;
}
/// They leave the kernel for dst, written or added.
[[gnu::always_inline]] inline void leave_vector(vfloat v, const Epilogue& e, int64_t c, const float* residual,
                                                const float* gate, const Writer& write, float* dst, int64_t left) {
  write(dst, finished(v, e, c, residual, gate, left), left);
}

/// diff_bias(c) = sum of diff_y over pixels: floats along a row, doubles over rows.
inline void bias_gradient(const View& diff, const Destination& dst) {
  parallel_for((diff.shape.c + lanes - 1) / lanes, [&](int64_t chunk, int) {
    const int64_t c0 = chunk * lanes, count = least(lanes, diff.shape.c - c0);
    double sum[lanes] = {};
    for (int64_t n = 0; n < diff.shape.n; ++n) {
      for (int64_t y = 0; y < diff.shape.h; ++y) {
        vfloat row = zero();
        const float* p = diff.at<float>(n, y, 0) + c0;
        for (int64_t x = 0; x < diff.shape.w; ++x, p += diff.pixel_stride) row = row + load_some(p, count);
        for (int i = 0; i < lanes; ++i) sum[i] += static_cast<double>(row[i]);
      }
    }
    float* to = dst.view.as<float>() + c0;
    for (int64_t i = 0; i < count; ++i)
      to[i] = static_cast<float>(dst.mode == Mode::add ? static_cast<double>(to[i]) + sum[i] : sum[i]);
  });
}

/// fn.template operator()<m>() for a run-time m in [1, Max].
template <int Max, class Fn>
[[gnu::always_inline]] inline void with_constant(int64_t m, const Fn& fn) {
  if constexpr (Max > 0) {
    if (m == Max) return fn.template operator()<Max>();
    with_constant<Max - 1>(m, fn);
  }
}

/// Pixels (or channels) of a register tile beside two vectors: 28 accumulators of 32 registers, or 12 of 16.
inline constexpr int tile_rows = PIXELWISE_ISA_LEVEL == 2 ? 14 : 6;

[[gnu::always_inline]] inline int64_t round_to(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// Part i of `parts` equal parts of [0, n).
[[gnu::always_inline]] inline int64_t part(int64_t n, int64_t i, int64_t parts) { return n * i / parts; }

}  // namespace pixelwise::PIXELWISE_ISA
