// Mean and variance of a convolution's results, per channel, summed as they leave (Problem::moments): from registers,
// as large results go past the caches. The results of a tile are summed in floats about the first of them, so that
// squares lose nothing where the mean is large; what moves the sums to zero is added in doubles (shifted data: Chan,
// Golub, LeVeque 1983, "Algorithms for computing the sample variance").
#pragma once
#include "kernels/vector/maps.hpp"
#include "kernels/vector/moments_plan.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// Some results of a vector of channels: sum and sum of squares, about the first of them.
struct Spread {
  vfloat first = zero(), sum = zero(), squares = zero();
  [[gnu::always_inline]] void add(vfloat v) {
    const vfloat d = v - first;
    sum = sum + d;
    squares = fma(d, d, squares);
  }
};

/// The partial sums of one chunk of work: [sum, sum of squares][channel].
struct MomentsPart {
  double* to = nullptr;
  int64_t pitch = 0;
  explicit operator bool() const { return to != nullptr; }

  /// The part begins, for channels [c, c + count).
  void begin(int64_t c, int64_t count) const {
    std::memset(to + c, 0, static_cast<size_t>(count) * sizeof(double));
    std::memset(to + pitch + c, 0, static_cast<size_t>(count) * sizeof(double));
  }
  /// Sums of n results of channels [c, c + lanes): with d = x - f,
  /// sum x = n f + sum d, and sum x^2 = sum d^2 + f (sum d + sum x).
  [[gnu::always_inline]] void add(int64_t c, const Spread& spread, int64_t n) const {
    vhalf first[2], sum[2], squares[2];
    std::memcpy(first, &spread.first, sizeof first);
    std::memcpy(sum, &spread.sum, sizeof sum);
    std::memcpy(squares, &spread.squares, sizeof squares);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      double *sums = to + c + i * lanes / 2, *powers = sums + pitch;
      const vdouble f = __builtin_convertvector(first[i], vdouble), d = __builtin_convertvector(sum[i], vdouble);
      const vdouble all = f * static_cast<double>(n) + d;
      vdouble s, p;
      std::memcpy(&s, sums, sizeof s);
      std::memcpy(&p, powers, sizeof p);
      s = s + all;
      p = p + (__builtin_convertvector(squares[i], vdouble) + f * (d + all));
      std::memcpy(sums, &s, sizeof s);
      std::memcpy(powers, &p, sizeof p);
    }
  }
  /// The same of V vectors of M pixels in registers.
  template <int M, int V>
  [[gnu::always_inline]] void add_tile(int64_t c, const vfloat (&results)[M][V]) const {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Spread spread{results[0][v]};
#pragma GCC unroll 16
      for (int m = 1; m < M; ++m) spread.add(results[m][v]);
      add(c + v * lanes, spread, M);
    }
  }
  /// The same of V vectors of n pixels in memory, `step` floats apart, to which `bias` is still to be added.
  template <int V>
  void add_pixels(int64_t c, const float* x, int64_t step, int64_t n, const vfloat (&bias)[V]) const {
    Spread spread[V];
    for (int v = 0; v < V; ++v) spread[v].first = load(x + v * lanes);
    for (int64_t m = 1; m < n; ++m) {
      for (int v = 0; v < V; ++v) spread[v].add(load(x + m * step + v * lanes));
    }
    for (int v = 0; v < V; ++v) {
      spread[v].first = spread[v].first + bias[v];
      add(c + v * lanes, spread[v], n);
    }
  }
};

[[gnu::always_inline]] inline MomentsPart moments_part(const MomentsPlan& m, const Arguments& a, int64_t index) {
  if (m.parts == 0) return {};
  return {reinterpret_cast<double*>(a.scratch + m.offset) + index * m.part_doubles(), m.pitch};
}

/// dst[1] = mean and variance of channels [c0, c1), from the first `parts` parts.
inline void leave_moments(const MomentsPlan& m, const Arguments& a, int64_t parts, int64_t c0, int64_t c1) {
  constexpr int64_t group = 64;
  if (m.parts == 0) return;
  const Shape& shape = a.dst[0].view.shape;
  const auto count = static_cast<double>(shape.n * shape.h * shape.w);
  parallel_for((c1 - c0 + group - 1) / group, [&](int64_t chunk, int) {
    const int64_t first = c0 + chunk * group, channels = c1 - first < group ? c1 - first : group;
    double sum[group] = {}, squares[group] = {};
    for (int64_t i = 0; i < parts; ++i) {
      const double* from = moments_part(m, a, i).to + first;
      for (int64_t c = 0; c < channels; ++c) sum[c] += from[c], squares[c] += from[m.pitch + c];
    }
    double *mean = a.dst[1].view.as<double>() + first, *variance = mean + shape.c;
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] = sum[c] / count;
      const double raw = squares[c] / count - mean[c] * mean[c];
      variance[c] = raw > 0 || raw != raw ? raw : 0;
    }
  });
}
inline void leave_moments(const MomentsPlan& m, const Arguments& a) {
  leave_moments(m, a, m.parts, 0, a.dst[0].view.shape.c);
}

}  // namespace pixelwise::PIXELWISE_ISA
