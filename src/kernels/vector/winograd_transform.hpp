// The minimal filtering algorithms F(3, 3), F(4, 3), F(6, 3), F(2, 7), F(3, 7) and F(4, 7) of Winograd 1980, one along
// each axis of a tile as Lavin, Gray 2016, "Fast algorithms for convolutional neural networks": with d a tile of the
// source, g a kernel, y the result,
//   y = A^T ((G g G^T) * (B^T d B)) A        (* element by element, summed over the source's channels)
//   diff_g = G^T ((A diff_y A^T) * (B^T d B)) G        (summed over the tiles)
// The points are 0, 1, -1, 2, -2 (1/2, -1/2) and infinity: B depends on their number alone, so that F(6, 3) and F(2, 7)
// share it. The rows of two points of opposite sign share their even and odd halves. (A, B and G are those of the axis;
// rows 1 and 2 of weights, 3 and 4, ... are `pairs` of points of opposite sign.)
#pragma once
#include "core/simd.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// Two pixels with nothing but border around them (an atrous kernel of a rate of half the map or more sees no others):
///   y0 = g1 d0 + g2 d1 = g1 (d0 + d1) + (g2 - g1) d1,   y1 = g0 d0 + g1 d1 = g1 (d0 + d1) + (g0 - g1) d0.
struct Pair {
  static constexpr int results = 2, taps = 3, inputs = 2, points = 3, pairs = 0;
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
template <int Results, int Taps, int Pairs>
struct Filter {
  static constexpr int results = Results, taps = Taps, inputs = Results + Taps - 1, points = inputs, pairs = Pairs;
};

struct F33 : Filter<3, 3, 0> {
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

struct F43 : Filter<4, 3, 2> {
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

struct F63 : Filter<6, 3, 3> {
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

struct F27 : Filter<2, 7, 3> {
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

/// The constants of F(4, 7) and F(3, 7): so many points need care. With +-3/8, +-3/4, +-5/4, +-5/2, nearly the tangents
/// of evenly spaced angles, the error is a quarter of that with 1/2, 1, 2, 4; and the polynomials have exact
/// coefficients. Where infinity is none of the points, they are +-1/2, +-7/8, +-3/2, +-4.
struct Constants7 {
  float point[4];
  float all[4]{};          ///< of the product over the points b of (x^2 - b^2): of x^0, x^2, x^4, x^6; that of x^8 is 1
  float others[4][3]{};    ///< of the product over all but one
  float weights[10][7]{};  ///< G

  consteval Constants7(float p0, float p1, float p2, float p3) : point{p0, p1, p2, p3} {
    double squares[4] = {}, product[5] = {1};
    for (int p = 0; p < 4; ++p) {
      squares[p] = double{point[p]} * double{point[p]};
      for (int k = p + 1; k >= 0; --k) product[k] = (k ? product[k - 1] : 0) - squares[p] * product[k];
    }
    for (int k = 0; k < 4; ++k) all[k] = static_cast<float>(product[k]);
    weights[0][0] = static_cast<float>(1 / product[0]);
    weights[9][6] = 1;
    for (int p = 0; p < 4; ++p) {
      double rest[4] = {0, 0, 0, 1}, value = 1;  // product / (x^2 - squares[p]), and its value at the point
      for (int k = 2; k >= 0; --k) rest[k] = product[k + 1] + squares[p] * rest[k + 1];
      for (int k = 0; k < 3; ++k) others[p][k] = static_cast<float>(rest[k]);
      for (int other = 0; other < 4; ++other) value *= other == p ? 1 : squares[p] - squares[other];
      double power = 1 / (2 * squares[p] * value);
      for (int k = 0; k < 7; ++k, power *= double{point[p]}) {
        weights[2 * p + 1][k] = static_cast<float>(power);
        weights[2 * p + 2][k] = static_cast<float>(k % 2 ? -power : power);
      }
    }
  }
};

/// F(4, 7) with the tenth point at infinity, F(3, 7) with nine finite ones.
template <int Results>
struct FourPairs : Filter<Results, 7, 4> {
  static constexpr bool infinity = Results == 4;
  static constexpr Constants7 c =
      infinity ? Constants7(3 / 8.0f, 3 / 4.0f, 5 / 4.0f, 5 / 2.0f) : Constants7(1 / 2.0f, 7 / 8.0f, 3 / 2.0f, 4);
  static constexpr auto& point = c.point;
  static constexpr auto& weights = c.weights;

  [[gnu::always_inline]] static void source(const vfloat* d, vfloat* to) {
    to[0] = c.all[0] * d[0] + c.all[1] * d[2] + c.all[2] * d[4] + c.all[3] * d[6] + d[8];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const vfloat even = c.others[p][0] * d[2] + c.others[p][1] * d[4] + c.others[p][2] * d[6] + d[8];
      const vfloat odd = point[p] * (c.others[p][0] * d[1] + c.others[p][1] * d[3] + c.others[p][2] * d[5] + d[7]);
      to[2 * p + 1] = even + odd, to[2 * p + 2] = even - odd;
    }
    if constexpr (infinity) to[9] = c.all[0] * d[1] + c.all[1] * d[3] + c.all[2] * d[5] + c.all[3] * d[7] + d[9];
  }
  [[gnu::always_inline]] static void result(const vfloat* m, vfloat* y) {
    y[0] = m[0], y[1] = zero(), y[2] = zero();
    if constexpr (infinity) y[3] = m[9];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const vfloat even = m[2 * p + 1] + m[2 * p + 2], odd = point[p] * (m[2 * p + 1] - m[2 * p + 2]);
      const float square = point[p] * point[p];
      y[0] = y[0] + even, y[1] = y[1] + odd, y[2] = y[2] + square * even;
      if constexpr (infinity) y[3] = y[3] + square * odd;
    }
  }
  [[gnu::always_inline]] static void gradient(const vfloat* y, vfloat* to) {
    to[0] = y[0];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const float square = point[p] * point[p];
      const vfloat even = y[0] + square * y[2];
      vfloat odd = point[p] * y[1];
      if constexpr (infinity) odd = point[p] * (y[1] + square * y[3]);
      to[2 * p + 1] = even + odd, to[2 * p + 2] = even - odd;
    }
    if constexpr (infinity) to[9] = y[3];
  }
};
using F37 = FourPairs<3>;
using F47 = FourPairs<4>;

/// An algorithm for each axis of a tile.
template <class AlongH, class AlongW = AlongH>
struct Axes {
  using H = AlongH;
  using W = AlongW;
  static constexpr int taps = H::taps;
  static constexpr int point(int i, int j) { return i * W::points + j; }
};

/// to(i, j, T d S^T), where along_h(x, y) is y = T x and along_w y = S x.
template <int InH, int InW, int OutH, int OutW, class AlongH, class AlongW, class Read, class Write>
[[gnu::always_inline]] inline void along_both_axes(const AlongH& along_h, const AlongW& along_w, const Read& from,
                                                   const Write& to) {
  vfloat half[OutH][InW];
#pragma GCC unroll 10
  for (int j = 0; j < InW; ++j) {
    vfloat column[InH], result[OutH];
#pragma GCC unroll 10
    for (int i = 0; i < InH; ++i) column[i] = from(i, j);
    along_h(column, result);
#pragma GCC unroll 10
    for (int i = 0; i < OutH; ++i) half[i][j] = result[i];
  }
#pragma GCC unroll 10
  for (int i = 0; i < OutH; ++i) {
    vfloat result[OutW];
    along_w(half[i], result);
#pragma GCC unroll 10
    for (int j = 0; j < OutW; ++j) to(i, j, result[j]);
  }
}

/// to(i, j, B^T d B) for a tile d(i, j) of the source.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_source(const Read& d, const Write& to) {
  using H = typename F::H;
  using W = typename F::W;
  along_both_axes<H::inputs, W::inputs, H::points, W::points>(
      [](const vfloat* x, vfloat* y) { H::source(x, y); }, [](const vfloat* x, vfloat* y) { W::source(x, y); }, d, to);
}

/// to(i, j, A^T m A) for the sums m(i, j) of a tile.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_result(const Read& m, const Write& to) {
  using H = typename F::H;
  using W = typename F::W;
  along_both_axes<H::points, W::points, H::results, W::results>(
      [](const vfloat* x, vfloat* y) { H::result(x, y); }, [](const vfloat* x, vfloat* y) { W::result(x, y); }, m, to);
}

/// to(i, j, A y A^T) for the gradient y(i, j) of a tile's result.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_gradient(const Read& y, const Write& to) {
  using H = typename F::H;
  using W = typename F::W;
  along_both_axes<H::results, W::results, H::points, W::points>([](const vfloat* x, vfloat* v) { H::gradient(x, v); },
                                                                [](const vfloat* x, vfloat* v) { W::gradient(x, v); },
                                                                y, to);
}

/// y = G x along an axis.
template <class A>
[[gnu::always_inline]] inline void weights_along(const vfloat* x, vfloat* y) {
#pragma GCC unroll 10
  for (int i = 0; i < A::points; ++i) {
    const bool pair = i >= 1 && i <= 2 * A::pairs;
    if (pair && i % 2 == 0) continue;  // made with the one before
    vfloat even = zero(), odd = zero();
#pragma GCC unroll 7
    for (int k = 0; k < A::taps; ++k) {
      if (A::weights[i][k] != 0) (k % 2 ? odd : even) += A::weights[i][k] * x[k];
    }
    y[i] = even + odd;
    if (pair) y[i + 1] = even - odd;
  }
}

/// y = G^T x along an axis.
template <class A>
[[gnu::always_inline]] inline void weights_gradient_along(const vfloat* x, vfloat* y) {
#pragma GCC unroll 7
  for (int k = 0; k < A::taps; ++k) y[k] = zero();
#pragma GCC unroll 10
  for (int i = 0; i < A::points; ++i) {
    const bool pair = i >= 1 && i <= 2 * A::pairs;
    if (pair && i % 2 == 0) continue;  // added with the one before
    const vfloat even = pair ? x[i] + x[i + 1] : x[i], odd = pair ? x[i] - x[i + 1] : x[i];
#pragma GCC unroll 7
    for (int k = 0; k < A::taps; ++k) {
      if (A::weights[i][k] != 0) y[k] += A::weights[i][k] * (k % 2 ? odd : even);
    }
  }
}

/// to(i, j, G g G^T) for the taps g(i, j).
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_weights(const Read& g, const Write& to) {
  using H = typename F::H;
  using W = typename F::W;
  along_both_axes<H::taps, W::taps, H::points, W::points>([](const vfloat* x, vfloat* y) { weights_along<H>(x, y); },
                                                          [](const vfloat* x, vfloat* y) { weights_along<W>(x, y); }, g,
                                                          to);
}

/// to(i, j, G^T u G) for the sums u(i, j) of a weight's gradient.
template <class F, class Read, class Write>
[[gnu::always_inline]] inline void transform_weights_gradient(const Read& u, const Write& to) {
  using H = typename F::H;
  using W = typename F::W;
  along_both_axes<H::points, W::points, H::taps, W::taps>(
      [](const vfloat* x, vfloat* y) { weights_gradient_along<H>(x, y); },
      [](const vfloat* x, vfloat* y) { weights_gradient_along<W>(x, y); }, u, to);
}

}  // namespace pixelwise::PIXELWISE_ISA
