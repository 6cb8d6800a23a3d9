// The minimal filtering algorithms F(3, 3), F(4, 3), F(6, 3) and F(2, 7) of Winograd 1980, applied to both axes of a
// tile as Lavin, Gray 2016, "Fast algorithms for convolutional neural networks": with d a tile of the source, g a
// kernel, y the result,
//   y = A^T ((G g G^T) * (B^T d B)) A        (* element by element, summed over the source's channels)
//   diff_g = G^T ((A diff_y A^T) * (B^T d B)) G        (summed over the tiles)
// The points are 0, 1, -1, 2, -2 (1/2, -1/2) and infinity: B depends on their number alone, so that F(6, 3) and F(2, 7)
// share it. The rows of two points of opposite sign share their even and odd halves.
#pragma once
#include "core/simd.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// Two pixels with nothing but border around them (an atrous kernel of a rate of half the map or more sees no others):
///   y0 = g1 d0 + g2 d1 = g1 (d0 + d1) + (g2 - g1) d1,   y1 = g0 d0 + g1 d1 = g1 (d0 + d1) + (g0 - g1) d0.
struct Pair {
  static constexpr int results = 2, taps = 3, inputs = 2, points = 3;
  static constexpr float weights[3][3] = {{0, 1, 0}, {0, -1, 1}, {1, -1, 0}};
  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) {
    to[0] = d[0] + d[1], to[1] = d[1], to[2] = d[0];
  }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) { y[0] = m[0] + m[1], y[1] = m[0] + m[2]; }
  [[gnu::always_inline]] static void gradient(const vfloat* y, vfloat* to) {
    to[0] = y[0] + y[1], to[1] = y[0], to[2] = y[1];
  }
};

/// F(results, taps): so many results need as many points as they have inputs.
template <int Results, int Taps>
struct Filter {
  static constexpr int results = Results, taps = Taps, inputs = Results + Taps - 1, points = inputs;
};

struct F33 : Filter<3, 3> {
  static constexpr float weights[5][3] = {{1 / 2.0f, 0, 0},
                                          {-1 / 2.0f, -1 / 2.0f, -1 / 2.0f},
                                          {-1 / 6.0f, 1 / 6.0f, -1 / 6.0f},
                                          {1 / 6.0f, 1 / 3.0f, 2 / 3.0f},
                                          {0, 0, 1}};
  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) {  // B^T d
    const vfloat odd = d[3] - d[1];
    to[0] = 2.0f * (d[0] - d[2]) + odd;
    to[1] = d[3] - d[2] - 2.0f * d[1];
    to[2] = d[3] - 3.0f * d[2] + 2.0f * d[1];
    to[3] = odd;
    to[4] = d[4] - d[2] - 2.0f * odd;
  }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) {  // A^T m
    const vfloat even = m[1] + m[2];
    y[0] = m[0] + even + m[3];
    y[1] = m[1] - m[2] + 2.0f * m[3];
    y[2] = even + 4.0f * m[3] + m[4];
  }
  [[gnu::always_inline]] static void gradient(const vfloat* y, vfloat* to) {  // A y
    const vfloat even = y[0] + y[2];
    to[0] = y[0];
    to[1] = even + y[1], to[2] = even - y[1];
    to[3] = y[0] + 2.0f * y[1] + 4.0f * y[2];
    to[4] = y[2];
  }
};

struct F43 : Filter<4, 3> {
  static constexpr float weights[6][3] = {{1 / 4.0f, 0, 0},
                                          {-1 / 6.0f, -1 / 6.0f, -1 / 6.0f},
                                          {-1 / 6.0f, 1 / 6.0f, -1 / 6.0f},
                                          {1 / 24.0f, 1 / 12.0f, 1 / 6.0f},
                                          {1 / 24.0f, -1 / 12.0f, 1 / 6.0f},
                                          {0, 0, 1}};
  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) {
    const vfloat even1 = d[4] - 4.0f * d[2], odd1 = d[3] - 4.0f * d[1];
    const vfloat even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
    to[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    to[1] = even1 + odd1, to[2] = even1 - odd1;
    to[3] = even2 + odd2, to[4] = even2 - odd2;
    to[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
  }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) {
    const vfloat even1 = m[1] + m[2], odd1 = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    y[0] = m[0] + even1 + even2;
    y[1] = odd1 + 2.0f * odd2;
    y[2] = even1 + 4.0f * even2;
    y[3] = odd1 + 8.0f * odd2 + m[5];
  }
  [[gnu::always_inline]] static void gradient(const vfloat* y, vfloat* to) {
    const vfloat even1 = y[0] + y[2], odd1 = y[1] + y[3];
    const vfloat even2 = y[0] + 4.0f * y[2], odd2 = 2.0f * y[1] + 8.0f * y[3];
    to[0] = y[0];
    to[1] = even1 + odd1, to[2] = even1 - odd1;
    to[3] = even2 + odd2, to[4] = even2 - odd2;
    to[5] = y[3];
  }
};

struct F63 : Filter<6, 3> {
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
  [[gnu::always_inline]] static void gradient(const vfloat* y, vfloat* to) {
    const vfloat even1 = y[0] + y[2] + y[4], odd1 = y[1] + y[3] + y[5];
    const vfloat even2 = y[0] + 4.0f * y[2] + 16.0f * y[4], odd2 = 2.0f * y[1] + 8.0f * y[3] + 32.0f * y[5];
    const vfloat even3 = y[0] + 0.25f * y[2] + 0.0625f * y[4];
    const vfloat odd3 = 0.5f * y[1] + 0.125f * y[3] + 0.03125f * y[5];
    to[0] = y[0];
    to[1] = even1 + odd1, to[2] = even1 - odd1;
    to[3] = even2 + odd2, to[4] = even2 - odd2;
    to[5] = even3 + odd3, to[6] = even3 - odd3;
    to[7] = y[5];
  }
};

struct F27 : Filter<2, 7> {
  static constexpr float w1 = -2 / 9.0f, w2 = 1 / 90.0f, w3 = 32 / 45.0f;
  static constexpr float weights[8][7] = {{1, 0, 0, 0, 0, 0, 0},
                                          {w1, w1, w1, w1, w1, w1, w1},
                                          {w1, -w1, w1, -w1, w1, -w1, w1},
                                          {w2, 2 * w2, 4 * w2, 8 * w2, 16 * w2, 32 * w2, 64 * w2},
                                          {w2, -2 * w2, 4 * w2, -8 * w2, 16 * w2, -32 * w2, 64 * w2},
                                          {w3, w3 / 2, w3 / 4, w3 / 8, w3 / 16, w3 / 32, w3 / 64},
                                          {w3, -w3 / 2, w3 / 4, -w3 / 8, w3 / 16, -w3 / 32, w3 / 64},
                                          {0, 0, 0, 0, 0, 0, 1}};
  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) { F63::source(d, to); }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) {
    y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]) + (m[5] + m[6]);
    y[1] = (m[1] - m[2]) + 2.0f * (m[3] - m[4]) + 0.5f * (m[5] - m[6]) + m[7];
  }
  [[gnu::always_inline]] static void gradient(const vfloat* y, vfloat* to) {
    to[0] = y[0];
    to[1] = y[0] + y[1], to[2] = y[0] - y[1];
    to[3] = y[0] + 2.0f * y[1], to[4] = y[0] - 2.0f * y[1];
    to[5] = y[0] + 0.5f * y[1], to[6] = y[0] - 0.5f * y[1];
    to[7] = y[1];
  }
};

/// to(i, j, T from T^T), where along(x, y) is y = T x for a column of In and a column of Out vectors.
template <int In, int Out, class Along, class Read, class Write>
[[gnu::always_inline]] inline void along_both_axes(const Along& along, const Read& from, const Write& to) {
  vfloat half[Out][In];
#pragma GCC unroll 8
  for (int j = 0; j < In; ++j) {
    vfloat column[In], result[Out];
#pragma GCC unroll 8
    for (int i = 0; i < In; ++i) column[i] = from(i, j);
    along(column, result);
#pragma GCC unroll 8
    for (int i = 0; i < Out; ++i) half[i][j] = result[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < Out; ++i) {
    vfloat result[Out];
    along(half[i], result);
#pragma GCC unroll 8
    for (int j = 0; j < Out; ++j) to(i, j, result[j]);
  }
}

/// to(i, j, B^T d B) for a tile d(i, j) of the source.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_source(const Read& d, const Write& to) {
  along_both_axes<F::inputs, F::points>([](const vfloat* x, vfloat* y) { F::source(x, y); }, d, to);
}

/// to(i, j, A^T m A) for the sums m(i, j) of a tile.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_result(const Read& m, const Write& to) {
  along_both_axes<F::points, F::results>([](const vfloat* x, vfloat* y) { F::result(x, y); }, m, to);
}

/// to(i, j, A y A^T) for the gradient y(i, j) of a tile's result.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_gradient(const Read& y, const Write& to) {
  along_both_axes<F::results, F::points>([](const vfloat* x, vfloat* v) { F::gradient(x, v); }, y, to);
}

/// to(i, j, G g G^T) for the taps g(i, j).
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_weights(const Read& g, const Write& to) {
  const auto along = [](const vfloat* x, vfloat* y) {
#pragma GCC unroll 8
    for (int i = 0; i < F::points; ++i) {
      y[i] = zero();
#pragma GCC unroll 7
      for (int k = 0; k < F::taps; ++k) y[i] = y[i] + F::weights[i][k] * x[k];
    }
  };
  along_both_axes<F::taps, F::points>(along, g, to);
}

/// to(i, j, G^T u G) for the sums u(i, j) of a weight's gradient.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_weights_gradient(const Read& u, const Write& to) {
  const auto along = [](const vfloat* x, vfloat* y) {
#pragma GCC unroll 7
    for (int k = 0; k < F::taps; ++k) {
      y[k] = zero();
#pragma GCC unroll 8
      for (int i = 0; i < F::points; ++i) y[k] = y[k] + F::weights[i][k] * x[i];
    }
  };
  along_both_axes<F::points, F::taps>(along, u, to);
}

}  // namespace pixelwise::PIXELWISE_ISA
