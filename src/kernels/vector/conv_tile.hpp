// The register tile of a matrix product whose left matrix is read from memory pixel by pixel (or tile by tile).
#pragma once
#include "kernels/vector/maps.hpp"
#include "kernels/vector/moments.hpp"

namespace pixelwise::PIXELWISE_ISA {

struct Run {
  int64_t offset;      ///< from a row of the left matrix to where the run begins
  const float* panel;  ///< [length][V * lanes]
};

/// The columns of a matrix of up to 14 rows, `step` floats apart, one after the other. An x86 processor multiplies by
/// 2, 4 and 8 as it computes an address: one, three and five steps from two rows reach all of them. Left alone, GCC
/// computes each row's offset beforehand, has too few registers for them, and the loop is up to a third slower (asm: as
/// if the steps changed from column to column).
class Columns {
 public:
  [[gnu::always_inline]] Columns(const float* first, int64_t step)
      : row0_(reinterpret_cast<const char*>(first)),
        row7_(row0_ + 28 * step),
        step_(4 * step),
        step3_(12 * step),
        step5_(20 * step) {
    asm("" : "+r"(row7_));
  }
  /// Row m of the column.
  [[gnu::always_inline]] float operator[](int m) const {
    const char* row = m < 7 ? row0_ : row7_;
    const int r = m % 7;  // 0, 1, 2 and 4; 3 and 6; 5
    return *reinterpret_cast<const float*>(row + (r == 5 ? step5_ : r % 3 == 0 ? r / 3 * step3_ : r * step_));
  }
  [[gnu::always_inline]] void next() {
    row0_ += sizeof(float), row7_ += sizeof(float);
    asm("" : "+r"(step_), "+r"(step3_), "+r"(step5_));
  }

 private:
  const char *row0_, *row7_;
  int64_t step_, step3_, step5_;  // bytes
};

/// How the rows of the next tile are asked for.
enum class Ask {
  rows,            ///< into L1
  rows_of_map,     ///< where pixels of many channels are an even number of lines apart, into L2: they share L1's sets
  rows_and_later,  ///< and, with each step of k, a vector from `later` on, into L2
};

/// The sums of M x V vectors, from registers: sums[m][v] = init + sum over runs and k < length of
/// x[m * step + offset + k] * panel[k][v]; then leave(m, v, sum) for each. The sum is added as a whole: what a few
/// hundred channels give is rounded less than what is added to all channels before, one by one. next: the x of the call
/// that follows. It and the panel are asked for while this one computes: the processor does not follow so many rows by
/// itself, and they may lie beyond the L2 cache. half: of the last vectors only half the lanes are wanted. panel:
/// floats from the runs' panels to those that are meant.
template <int M, int V, bool half = false, Ask ask = Ask::rows, class Leave>
[[gnu::always_inline]] inline void sum_tile(const float* x, const float* next, int64_t step, const Run* runs,
                                            int64_t run_count, int64_t length, const float* init, int64_t init_step,
                                            const Leave& leave, int64_t panel = 0, const float* later = nullptr) {
  constexpr int64_t line = 16, ahead = 64, few = 64;  // floats of a cache line; steps of k
  constexpr int whole = half ? V - 1 : V;
  const bool crowded = ask == Ask::rows_of_map && length > few && step % (2 * line) == 0;
  vfloat c[M][V];
  vhalf h[M];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    h[m] = vhalf{};
#pragma GCC unroll 2
    for (int v = 0; v < whole; ++v) c[m][v] = zero();
  }
  for (int64_t r = 0; r < run_count; ++r) {
    const float *b = runs[r].panel + panel, *wanted = next + runs[r].offset;
    Columns a(x + runs[r].offset, step);
    for (int64_t k0 = 0; k0 < length; k0 += line, wanted += line) {
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m)
        crowded ? __builtin_prefetch(wanted + m * step, 0, 2) : __builtin_prefetch(wanted + m * step);
      const int64_t count = length - k0 < line ? length - k0 : line;
      for (int64_t k = 0; k < count; ++k, a.next(), b += V * lanes) {
        if constexpr (ask == Ask::rows_and_later) __builtin_prefetch(later, 0, 2), later += lanes;
        vfloat w[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
          __builtin_prefetch(b + (ahead * V + v) * lanes);
          w[v] = load(b + v * lanes);
        }
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
          const vfloat pixel = broadcast(a[m]);
#pragma GCC unroll 2
          for (int v = 0; v < whole; ++v) c[m][v] = fma(pixel, w[v], c[m][v]);
          if constexpr (half) h[m] = lower(pixel) * lower(w[whole]) + h[m];
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v)
      leave(m, v, load(init + m * init_step + v * lanes) + (v < whole ? c[m][v] : widen(h[m])));
}

/// fn.template operator()<V, half>() for a tile of so many channels: one vector or two, the last one a half where that
/// is enough and faster.
template <class Fn>
[[gnu::always_inline]] inline void with_vectors(int64_t channels, const Fn& fn) {
  if constexpr (PIXELWISE_ISA_LEVEL == 2) {
    if (channels <= lanes / 2) return fn.template operator()<1, true>();
    if (channels > lanes && channels <= lanes + lanes / 2) return fn.template operator()<2, true>();
  }
  channels <= lanes ? fn.template operator()<1, false>() : fn.template operator()<2, false>();
}

/// The sums go to memory: [M][V * lanes]. (aligned: the loop's place in its cache lines is worth up to a tenth, and
/// would change with every file linked before it.)
template <int M, int V, bool half>
[[gnu::noinline, gnu::aligned(64)]] void tile(const float* x, const float* next, int64_t step, const Run* runs,
                                              int64_t run_count, int64_t length, const float* init, int64_t init_step,
                                              float* sums) {
  sum_tile<M, V, half>(x, next, step, runs, run_count, length, init, init_step,
                       [&](int m, int v, vfloat sum) { store(sums + (m * V + v) * lanes, sum); });
}

/// Where results go straight from registers, act(scale sum + shift): pixels `pixel` floats apart, the last vector with
/// `last` lanes.
struct Results {
  float* to;
  int64_t pixel, last;
  const float *scale, *shift;  ///< V vectors, or null
  Activation act;
  bool past;            ///< the caches: all is aligned
  MomentsPart moments;  ///< of the results, where they are wanted
  int64_t channel;      ///< the first of the results', in them
};

/// Results that nothing is added to or multiplied with go to memory straight from registers.
inline bool leaves_directly(const Arguments& a) {
  return !a.epilogue.residual && !a.epilogue.gate && !Writer(a.dst[0]).add;
}

/// Are they written past the caches, where they are large enough? All vectors are aligned then.
inline bool streams(const Arguments& a) {
  const View& dst = a.dst[0].view;
  return Writer(a.dst[0]).past && reinterpret_cast<uintptr_t>(dst.data) % 64 == 0 && dst.pixel_stride % lanes == 0 &&
         dst.row_stride % lanes == 0 && dst.image_stride % lanes == 0;
}

/// Bias, scale and shift of all destination channels, zeros behind them.
struct PerChannel {
  const float *bias, *scale, *shift;
};
inline PerChannel pad_channels(const Arguments& a, int64_t padded, float* to) {
  const int64_t channels = a.dst[0].view.shape.c;
  std::memset(to, 0, static_cast<size_t>(3 * padded) * sizeof(float));
  const auto copy = [&](const View& from, float* where) {
    if (from) std::memcpy(where, from.as<float>(), static_cast<size_t>(channels) * sizeof(float));
  };
  if (a.parameters.size() > 1) copy(a.parameters[1], to);
  copy(a.epilogue.scale, to + padded), copy(a.epilogue.shift, to + 2 * padded);
  return {to, to + padded, to + 2 * padded};
}

/// Vector v of pixel m leaves; `last`: it is the pixel's last one.
[[gnu::always_inline]] inline void leave_result(const Results& r, int m, int v, bool last, vfloat sum) {
  float* to = r.to + m * r.pixel + v * lanes;
  if (r.scale) sum = fma(sum, load(r.scale + v * lanes), load(r.shift + v * lanes));
  if (r.act != Activation::none) sum = activate(sum, r.act);
  if (last && r.last < lanes) return store_tail(to, sum, r.last);
  r.past ? stream(to, sum) : store(to, sum);
}

/// fn(m, v) for every vector of a tile.
template <int M, int V, class Fn>
[[gnu::always_inline]] inline void for_vectors(const Fn& fn) {
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) fn(m, v);
}

/// The lines that a tile will be written to are asked for before its sums are computed. (Without a lambda: GCC drops
/// calls of functions that only prefetch.)
template <int M, int V>
[[gnu::always_inline]] inline void expect_results(const Results& r) {
  if (r.past) return;
  const float* to = r.to;
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m, to += r.pixel)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) __builtin_prefetch(to + v * lanes, 1);
}

/// Tiles one after the other: floats from one to the next.
struct Strip {
  int64_t tiles = 1, x = 0, panel = 0, results = 0, channels = 0;
};

/// The results of a strip of tiles. What is the same for all of them is computed once: of few channels, a tile takes
/// hardly longer than it takes to call a function with so many rows.
template <int M, int V, bool half>
[[gnu::noinline, gnu::aligned(64)]] void result_tiles(const float* x, const float* next, int64_t step, const Run* runs,
                                                      int64_t run_count, int64_t length, const float* init, Results r,
                                                      const Strip& strip) {
  const Strip s = strip;
  // Short sums leave together, without a question for each of them. (Long ones were slower so.)
  const bool short_ones =
      run_count * length <= 128 && !r.scale && r.act == Activation::none && r.last == lanes && !r.past;
  int64_t panel = 0;
  for (int64_t t = 0; t < s.tiles; ++t) {
    expect_results<M, V>(r);
    vfloat results[M][V];
    sum_tile<M, V, half, Ask::rows_of_map>(
        x, next, step, runs, run_count, length, init, 0,
        [&](int m, int v, vfloat sum) {
          results[m][v] = sum;
          if (!short_ones) leave_result(r, m, v, v + 1 == V, sum);
        },
        panel);
    if (short_ones) for_vectors<M, V>([&](int m, int v) { store(r.to + m * r.pixel + v * lanes, results[m][v]); });
    if (r.moments) r.moments.add_tile(r.channel, results);
    x += s.x, next += s.x, panel += s.panel, init += s.channels;
    r.to += s.results, r.channel += s.channels, r.shift += s.channels;
    if (r.scale) r.scale += s.channels;
  }
}

}  // namespace pixelwise::PIXELWISE_ISA
