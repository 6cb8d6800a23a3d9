// The register tile of a sum of outer products over pixels (or tiles): a few coarse channels (broadcast) by two vectors
// of the fine map.
#pragma once
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_plan.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// Pixels of a rectangle that meet in both maps. The fine map is in blocks of two vectors of channels, `fine_block`
/// floats from block to block; pixels of a block are fine_step apart.
struct Pixels {
  const float *fine, *coarse;
  int64_t fine_block, fine_step, fine_row, coarse_step, coarse_row;
  int64_t rows, columns;
  bool first = false;                      ///< the sums begin with these pixels: what was there is not read
  int64_t fine_next = 0, coarse_next = 0;  ///< floats to the pixels that follow, where they are asked for
};

/// sums[m][v] += sum over pixels of coarse[m] * fine[v]; added as a whole, which rounds less than to add pixel by
/// pixel. The sums are asked for at the start and read at the end: they may lie beyond the L2 cache. The pixels are
/// asked for shortly before they are read: they come from L2, wherever they lie there.
template <int M, int V>
[[gnu::noinline, gnu::aligned(64)]] void outer(const Pixels& p, const float* fine, const float* coarse, float* sums,
                                               int64_t sums_row) {
  constexpr int64_t ahead = 16;
  constexpr int per_line = 16 / lanes;
  vfloat c[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      c[m][v] = zero();
      __builtin_prefetch(sums + m * sums_row + v * lanes, 1);
    }
  }
  const int64_t fine_ahead = ahead * p.fine_step, coarse_ahead = ahead * p.coarse_step;
  for (int64_t y = 0; y < p.rows; ++y, fine += p.fine_row, coarse += p.coarse_row) {
    const float *f = fine, *g = coarse;
    for (int64_t x = 0; x < p.columns; ++x, f += p.fine_step, g += p.coarse_step) {
      vfloat w[V];
      __builtin_prefetch(g + p.coarse_next, 0, 2);  // into L2
      __builtin_prefetch(g + coarse_ahead);
      __builtin_prefetch(g + coarse_ahead + M - 1);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        if (v % per_line == 0) {
          __builtin_prefetch(f + p.fine_next + v * lanes, 0, 2);
          __builtin_prefetch(f + fine_ahead + v * lanes);
        }
        w[v] = load(f + v * lanes);
      }
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const vfloat diff = broadcast(g[m]);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) c[m][v] = fma(diff, w[v], c[m][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      float* to = sums + m * sums_row + v * lanes;
      store(to, p.first ? c[m][v] : c[m][v] + load(to));
    }
  }
}

/// `length` channels of the fine map against coarse channels [0, channels).
inline void outer_run(Pixels p, int64_t length, int64_t channels, float* sums, int64_t sums_row) {
  const int64_t tiles = (channels + tile_rows - 1) / tile_rows;
  const float* fine = p.fine;
  const int64_t fine_next = p.fine_next;
  for (int64_t i = 0; i < length; i += 2 * lanes, fine += p.fine_block, p.coarse_next = 0) {  // once is enough
    p.fine_next = fine_next;
    for (int64_t t = 0; t < tiles; ++t, p.fine_next = 0) {
      const int64_t o = part(channels, t, tiles), count = part(channels, t + 1, tiles) - o;
      float* to = sums + o * sums_row + i;
      with_constant<tile_rows>(count, [&]<int M>() {
        length - i <= lanes ? outer<M, 1>(p, fine, p.coarse + o, to, sums_row)
                            : outer<M, 2>(p, fine, p.coarse + o, to, sums_row);
      });
    }
  }
}

/// dst = the sum of `count` dense tensors of its shape, in order.
inline void add_slabs(const Destination& dst, const float* slabs, int64_t count) {
  const Shape& shape = dst.view.shape;
  const int64_t taps = shape.h * shape.w, slab = shape.n * taps * shape.c;
  parallel_for(shape.n, [&](int64_t o, int) {
    for (int64_t k = 0; k < taps; ++k) {
      const float* from = slabs + (o * taps + k) * shape.c;
      float* to = dst.view.at<float>(o, k / shape.w, k % shape.w);
      for (int64_t i = 0; i < shape.c; i += lanes) {
        vfloat sum = load_some(from + i, shape.c - i);
        for (int64_t s = 1; s < count; ++s) sum += load_some(from + s * slab + i, shape.c - i);
        put_some(to + i, sum, shape.c - i, dst.mode);
      }
    }
  });
}

}  // namespace pixelwise::PIXELWISE_ISA
