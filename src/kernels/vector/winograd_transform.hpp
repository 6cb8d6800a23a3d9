// The minimal filtering algorithms F(4, 3) and F(6, 3) of Winograd 1980, applied to both axes of a tile as Lavin, Gray
// 2016, "Fast algorithms for convolutional neural networks": with d a tile of the source, g a kernel, y the result,
//   y = A^T ((G g G^T) * (B^T d B)) A        (* element by element, summed over the source's channels)
// The points are 0, 1, -1, 2, -2 (1/2, -1/2) and infinity. The rows of two points of opposite sign share their even and
// odd halves.
#pragma once
#include "core/simd.hpp"

namespace pixelwise::PIXELWISE_ISA {

template <int M>
struct Transform;

template <>
struct Transform<4> {
  static constexpr float weights[6][3] = {{1 / 4.0f, 0, 0},
                                          {-1 / 6.0f, -1 / 6.0f, -1 / 6.0f},
                                          {-1 / 6.0f, 1 / 6.0f, -1 / 6.0f},
                                          {1 / 24.0f, 1 / 12.0f, 1 / 6.0f},
                                          {1 / 24.0f, -1 / 12.0f, 1 / 6.0f},
                                          {0, 0, 1}};
  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) {  // B^T d
    const vfloat even1 = d[4] - 4.0f * d[2], odd1 = d[3] - 4.0f * d[1];
    const vfloat even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
    to[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    to[1] = even1 + odd1, to[2] = even1 - odd1;
    to[3] = even2 + odd2, to[4] = even2 - odd2;
    to[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
  }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) {  // A^T m
    const vfloat even1 = m[1] + m[2], odd1 = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    y[0] = m[0] + even1 + even2;
    y[1] = odd1 + 2.0f * odd2;
    y[2] = even1 + 4.0f * even2;
    y[3] = odd1 + 8.0f * odd2 + m[5];
  }
};

template <>
struct Transform<6> {
  static constexpr float weights[8][3] = {{1, 0, 0},
                                          {-2 / 9.0f, -2 / 9.0f, -2 / 9.0f},
                                          {-2 / 9.0f, 2 / 9.0f, -2 / 9.0f},
                                          {1 / 90.0f, 1 / 45.0f, 2 / 45.0f},
                                          {1 / 90.0f, -1 / 45.0f, 2 / 45.0f},
                                          {32 / 45.0f, 16 / 45.0f, 8 / 45.0f},
                                          {32 / 45.0f, -16 / 45.0f, 8 / 45.0f},
                                          {0, 0, 1}};
  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) {
    const vfloat even1 = d[6] - 4.25f * d[4] + d[2], odd1 = d[5] - 4.25f * d[3] + d[1];
    const vfloat even2 = d[6] - 1.25f * d[4] + 0.25f * d[2], odd2 = 2.0f * d[5] - 2.5f * d[3] + 0.5f * d[1];
    const vfloat even3 = d[6] - 5.0f * d[4] + 4.0f * d[2], odd3 = 0.5f * d[5] - 2.5f * d[3] + 2.0f * d[1];
    to[0] = d[0] - d[6] + 5.25f * (d[4] - d[2]);
    to[1] = even1 + odd1, to[2] = even1 - odd1;
    to[3] = even2 + odd2, to[4] = even2 - odd2;
    to[5] = even3 + odd3, to[6] = even3 - odd3;
    to[7] = d[7] - d[1] + 5.25f * (d[3] - d[5]);
  }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) {
    const vfloat even1 = m[1] + m[2], odd1 = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    const vfloat even3 = m[5] + m[6], odd3 = m[5] - m[6];
    y[0] = m[0] + even1 + even2 + even3;
    y[1] = odd1 + 2.0f * odd2 + 0.5f * odd3;
    y[2] = even1 + 4.0f * even2 + 0.25f * even3;
    y[3] = odd1 + 8.0f * odd2 + 0.125f * odd3;
    y[4] = even1 + 16.0f * even2 + 0.0625f * even3;
    y[5] = odd1 + 32.0f * odd2 + 0.03125f * odd3 + m[7];
  }
};

/// to(i, j, B^T d B) for a tile d(i, j) of the source.
template <int M, class Read, class Write>
[[gnu::always_inline]] inline void transform_source(const Read& d, const Write& to) {
  constexpr int size = M + 2;
  vfloat half[size][size];
#pragma GCC unroll 8
  for (int j = 0; j < size; ++j) {
    vfloat column[size], result[size];
#pragma GCC unroll 8
    for (int i = 0; i < size; ++i) column[i] = d(i, j);
    Transform<M>::source(column, result);
#pragma GCC unroll 8
    for (int i = 0; i < size; ++i) half[i][j] = result[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < size; ++i) {
    vfloat result[size];
    Transform<M>::source(half[i], result);
#pragma GCC unroll 8
    for (int j = 0; j < size; ++j) to(i, j, result[j]);
  }
}

/// to(i, j, A^T m A) for the sums m(i, j) of a tile.
template <int M, class Read, class Write>
[[gnu::always_inline]] inline void transform_result(const Read& m, const Write& to) {
  constexpr int size = M + 2;
  vfloat half[M][size];
#pragma GCC unroll 8
  for (int j = 0; j < size; ++j) {
    vfloat column[size], result[M];
#pragma GCC unroll 8
    for (int i = 0; i < size; ++i) column[i] = m(i, j);
    Transform<M>::result(column, result);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) half[i][j] = result[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
    vfloat result[M];
    Transform<M>::result(half[i], result);
#pragma GCC unroll 8
    for (int j = 0; j < M; ++j) to(i, j, result[j]);
  }
}

/// to(i, j, G g G^T) for the nine taps g.
template <int M, class Write>
[[gnu::always_inline]] inline void transform_weights(const vfloat (&g)[9], const Write& to) {
  const auto& G = Transform<M>::weights;
#pragma GCC unroll 8
  for (int i = 0; i < M + 2; ++i) {
    vfloat half[3];
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) half[j] = G[i][0] * g[j] + G[i][1] * g[3 + j] + G[i][2] * g[6 + j];
#pragma GCC unroll 8
    for (int j = 0; j < M + 2; ++j) to(i, j, G[j][0] * half[0] + G[j][1] * half[1] + G[j][2] * half[2]);
  }
}

}  // namespace pixelwise::PIXELWISE_ISA
