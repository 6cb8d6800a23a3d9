// The rungs of the ladder in plain C++; those with vectors are in vector/ladder.cpp, the one on tiles in
// vector/ladder_tiles.hpp.
#include "pixelwise/kernels/ladder.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cstring>

#include "kernels/vector/amx_plan.hpp"
#include "kernels/vector/ladder.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

// Rung 1: the definition, loop by loop.
void loops(LadderProblem& p) {
  const Shape& s = p.shape;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t y = 0; y < s.h; ++y)
      for (int64_t x = 0; x < s.w; ++x)
        for (int64_t o = 0; o < p.out; ++o) {
          float sum = 0;
          for (int64_t ky = 0; ky < 3; ++ky)
            for (int64_t kx = 0; kx < 3; ++kx) {
              const int64_t from_y = y + ky - 1, from_x = x + kx - 1;
              if (from_y < 0 || from_y >= s.h || from_x < 0 || from_x >= s.w) continue;
              const float* pixel = p.x + ((n * s.h + from_y) * s.w + from_x) * s.c;
              const float* tap = p.weights + ((o * 3 + ky) * 3 + kx) * s.c;
              for (int64_t i = 0; i < s.c; ++i) sum += pixel[i] * tap[i];
            }
          p.y[((n * s.h + y) * s.w + x) * p.out + o] = sum;
        }
}

// Rung 2: row q of a matrix holds the nine pixels around q; then the convolution is one matrix product,
//   y (pixels x out) = columns (pixels x 9 in) * weights^T (9 in x out),
// and a library for those does the rest (Chellapilla, Puri, Simard 2006). The matrix is made for one row of the map at
// a time, so that it stays in the cache.
void im2col(LadderProblem& p) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Framed framed = frame(p, 0);
  const Eigen::Map<const Matrix> weights(p.weights, p.out, 9 * p.shape.c);
  Matrix columns(p.shape.w, 9 * p.shape.c);
  for (int64_t row = 0; row < p.shape.n * p.shape.h; ++row) {
    const int64_t n = row / p.shape.h, y = row % p.shape.h;
    for (int64_t x = 0; x < p.shape.w; ++x)
      for (int64_t ky = 0; ky < 3; ++ky)  // three pixels side by side are contiguous
        std::memcpy(&columns(x, ky * 3 * p.shape.c), framed.at(n, y + ky, x), static_cast<size_t>(12 * p.shape.c));
    Eigen::Map<Matrix>(p.y + row * p.shape.w * p.out, p.shape.w, p.out).noalias() = columns * weights.transpose();
  }
}

// Rung 3: the matrix is never written. Two pixels and eight outputs are summed at once, in registers: every pixel that
// is read serves eight outputs, every weight two pixels, and the weights are packed in the order of their use. The
// compiler leaves it scalar, which is why Eigen's vectors are still ahead.
void tiled(LadderProblem& p) {
  constexpr int pixels = 2, outputs = 8;
  const Framed framed = frame(p, panel_floats(p, outputs));
  pack_panels(p, outputs, framed.rest);
  const int64_t in = p.shape.c;
  for (int64_t row = 0; row < p.shape.n * p.shape.h; ++row)
    for (int64_t x = 0; x < p.shape.w; x += pixels)
      for (int64_t o = 0; o < p.out; o += outputs) {
        float sums[pixels][outputs] = {};
        const float* panel = framed.rest + o * 9 * in;
        for (int64_t ky = 0; ky < 3; ++ky) {
          const float* pixel = framed.at(row / p.shape.h, row % p.shape.h + ky, x);
          for (int64_t k = 0; k < 3 * in; ++k, ++pixel, panel += outputs)
            for (int m = 0; m < pixels; ++m)
              for (int j = 0; j < outputs; ++j) sums[m][j] += pixel[m * in] * panel[j];
        }
        for (int64_t m = 0; m < pixels && x + m < p.shape.w; ++m)
          for (int64_t j = 0; j < outputs && o + j < p.out; ++j)
            p.y[(row * p.shape.w + x + m) * p.out + o + j] = sums[m][j];
      }
}

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

}  // namespace

void pack_panels(const LadderProblem& p, int64_t width, float* panels) {
  const int64_t taps = 9 * p.shape.c;
  parallel_for((p.out + width - 1) / width, [&](int64_t panel, int) {
    for (int64_t k = 0; k < taps; ++k)
      for (int64_t j = 0; j < width; ++j) {
        const int64_t o = panel * width + j;
        panels[(panel * taps + k) * width + j] = o < p.out ? p.weights[o * taps + k] : 0;
      }
  });
}

int64_t panel_floats(const LadderProblem& p, int64_t width) { return round_up(p.out, width) * 9 * p.shape.c; }

Framed frame(LadderProblem& p, int64_t rest) {
  const Shape& s = p.shape;
  Framed to{round_up(s.h, 4) + 2, round_up(s.w, 12) + 2, s.c, nullptr, nullptr};
  const int64_t map = s.n * to.height * to.width * s.c;
  p.scratch.resize(std::max(p.scratch.size(), static_cast<size_t>(map + rest)));
  to.data = p.scratch.data();
  to.rest = to.data + map;
  std::fill(to.data, to.rest, 0.0f);
  for (int64_t row = 0; row < s.n * s.h; ++row)
    std::memcpy(to.data + ((row / s.h * to.height + row % s.h + 1) * to.width + 1) * s.c, p.x + row * s.w * s.c,
                static_cast<size_t>(4 * s.w * s.c));
  return to;
}

std::vector<Rung> ladder(Isa isa) {
  const LadderEntries& vector = ladder_entries(isa);
  return {{"loops", "the definition, loop by loop", false, loops},
          {"im2col", "one matrix product, by Eigen", false, im2col},
          {"tiled", "no matrix; sums stay in registers", false, tiled},
          {"vectorised", "the same with the widest vectors", false, vector.vectorised},
          {"threaded", "rows shared out among the threads", true, vector.threaded},
          {"winograd", "F(4x4, 3x3): a quarter of the multiplications", true, vector.winograd},
          {"amx", "products of bf16 parts on tiles", true, amx_entries(isa).ladder, isa < Isa::amx}};
}

}  // namespace pixelwise
