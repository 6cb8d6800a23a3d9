// The register tile of a matrix product whose left matrix is read from memory pixel by pixel (or tile by tile).
#pragma once
#include "core/simd.hpp"

namespace pixelwise::PIXELWISE_ISA {

struct Run {
  int64_t offset;      ///< from a row of the left matrix to where the run begins
  const float* panel;  ///< [length][V * lanes]
};

/// sums[m][v] = init + sum over runs and k < length of x[m * step + offset + k] * panel[k][v]
template <int M, int V>
[[gnu::noinline]] void tile(const float* x, int64_t step, const Run* runs, int64_t run_count, int64_t length,
                            const float* init, int64_t init_step, float* sums) {
  vfloat c[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) c[m][v] = load(init + m * init_step + v * lanes);
  for (int64_t r = 0; r < run_count; ++r) {
    const float *a = x + runs[r].offset, *b = runs[r].panel;
    for (int64_t k = 0; k < length; ++k, ++a, b += V * lanes) {
      vfloat w[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) w[v] = load(b + v * lanes);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const vfloat pixel = broadcast(a[m * step]);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) c[m][v] = fma(pixel, w[v], c[m][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store(sums + (m * V + v) * lanes, c[m][v]);
}

}  // namespace pixelwise::PIXELWISE_ISA
