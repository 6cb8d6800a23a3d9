// The rungs of the ladder that use vectors.
#include "kernels/vector/ladder.hpp"

#include "kernels/vector/maps.hpp"
#include "kernels/vector/winograd_transform.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int M = 6, V = 2;                 // rows and vectors of a tile: twelve sums, which fit into 16 registers
constexpr int64_t panel_width = V * lanes;  // outputs of a tile

// sums[m][v] += sum over k < length of x[m * step + k] * panel[k][v]. One multiply-add for each sum; a pixel is loaded
// once for V of them, a weight once for M.
[[gnu::always_inline]] inline void multiply(const float* x, int64_t step, const float* panel, int64_t length,
                                            vfloat (&sums)[M][V]) {
  for (int64_t k = 0; k < length; ++k, panel += panel_width) {
    const vfloat weights[V] = {load(panel), load(panel + lanes)};
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m) {
      const vfloat pixel = broadcast(x[m * step + k]);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] = fma(pixel, weights[v], sums[m][v]);
    }
  }
}

void convolve_row(const LadderProblem& p, const Framed& framed, int64_t row) {
  const int64_t in = p.shape.c, n = row / p.shape.h, y = row % p.shape.h;
  for (int64_t o = 0; o < p.out; o += panel_width)
    for (int64_t x = 0; x < p.shape.w; x += M) {
      vfloat sums[M][V] = {};
      for (int64_t ky = 0; ky < 3; ++ky)  // three pixels side by side are contiguous: one run of 3 in
        multiply(framed.at(n, y + ky, x), in, framed.rest + (9 * o + 3 * ky * panel_width) * in, 3 * in, sums);
      for (int64_t m = 0; m < M && x + m < p.shape.w; ++m)
        for (int64_t v = 0; v < V && o + v * lanes < p.out; ++v)
          store_some(p.y + (row * p.shape.w + x + m) * p.out + o + v * lanes, sums[m][v], p.out - o - v * lanes);
    }
}

Framed framed_and_packed(LadderProblem& p) {
  const Framed framed = frame(p, panel_floats(p, panel_width));
  pack_panels(p, panel_width, framed.rest);
  return framed;
}

// Rung 4: the tile of rung 3 in vectors of the instruction set, and as large as the registers allow.
void vectorised(LadderProblem& p) {
  const Framed framed = framed_and_packed(p);
  for (int64_t row = 0; row < p.shape.n * p.shape.h; ++row) convolve_row(p, framed, row);
}

// Rung 5: rows are independent of each other.
void threaded(LadderProblem& p) {
  const Framed framed = framed_and_packed(p);
  parallel_for(p.shape.n * p.shape.h, [&](int64_t row, int) { convolve_row(p, framed, row); });
}

// What rung 6 keeps. A tile of 4x4 pixels of y comes from 6x6 pixels of x; in the 36 places of its transform it is
// multiplied by the weights' transform, place by place: 36 products instead of 4 * 4 * 9 = 144.
struct Winograd {
  int64_t in, tiles;     // tiles of one row of tiles, rounded up to M
  const float* weights;  // [panel][36][in][panel_width]
  float* source;         // [36][tiles][in], of a thread
  float* product;        // [36][tiles][panel_width], of a thread
};

void transform_panel(const LadderProblem& p, int64_t panel, float* weights) {
  const int64_t in = p.shape.c;
  for (int64_t i = 0; i < in; ++i)
    for (int64_t v = 0; v < V; ++v) {
      vfloat taps[9];
      for (int64_t k = 0; k < 9; ++k)
        for (int lane = 0; lane < lanes; ++lane) {
          const int64_t o = panel * panel_width + v * lanes + lane;
          taps[k][lane] = o < p.out ? p.weights[(o * 9 + k) * in + i] : 0;
        }
      transform_weights<Axes<F43>>([&](int r, int c) { return taps[r * 3 + c]; },
                                   [&](int r, int c, vfloat u) {
                                     store(weights + (((panel * 6 + r) * 6 + c) * in + i) * panel_width + v * lanes, u);
                                   });
    }
}

void transform_tiles(const Winograd& w, const Framed& framed, int64_t n, int64_t y, int64_t width) {
  for (int64_t tile = 0; tile * 4 < width; ++tile)
    for (int64_t c = 0; c < w.in; c += lanes)
      transform_source<Axes<F43>>(
          [&](int i, int j) { return load_some(framed.at(n, y + i, tile * 4 + j) + c, w.in - c); },
          [&](int i, int j, vfloat d) {
            store_some(w.source + ((i * 6 + j) * w.tiles + tile) * w.in + c, d, w.in - c);
          });
}

void multiply_places(const Winograd& w, int64_t panel) {
  for (int64_t place = 0; place < 36; ++place)
    for (int64_t tile = 0; tile < w.tiles; tile += M) {
      vfloat sums[M][V] = {};
      multiply(w.source + (place * w.tiles + tile) * w.in, w.in, w.weights + (panel * 36 + place) * w.in * panel_width,
               w.in, sums);
      for (int64_t m = 0; m < M; ++m)
        for (int64_t v = 0; v < V; ++v) store(w.product + ((place * w.tiles + tile + m) * V + v) * lanes, sums[m][v]);
    }
}

void transform_back(const Winograd& w, const LadderProblem& p, int64_t row, int64_t y, int64_t o) {
  for (int64_t tile = 0; tile * 4 < p.shape.w; ++tile)
    for (int64_t v = 0; v < V && o + v * lanes < p.out; ++v)
      transform_result<Axes<F43>>(
          [&](int i, int j) { return load(w.product + (((i * 6 + j) * w.tiles + tile) * V + v) * lanes); },
          [&](int i, int j, vfloat sum) {
            if (y + i >= p.shape.h || tile * 4 + j >= p.shape.w) return;
            store_some(p.y + ((row + i) * p.shape.w + tile * 4 + j) * p.out + o + v * lanes, sum,
                       p.out - o - v * lanes);
          });
}

// Rung 6: fewer multiplications (Winograd 1980; Lavin, Gray 2016). A row of tiles at a time: transform the source, 36
// matrix products of tiles x in by in x out with the tile of rung 4, transform the products back.
void winograd(LadderProblem& p) {
  const int64_t in = p.shape.c, panels = (p.out + panel_width - 1) / panel_width;
  const int64_t tiles = ((p.shape.w + 3) / 4 + M - 1) / M * M;
  const int64_t weights = panels * 36 * in * panel_width, source = 36 * tiles * in, product = 36 * tiles * panel_width;
  const Framed framed = frame(p, weights + (source + product) * thread_count());
  parallel_for(panels, [&](int64_t panel, int) { transform_panel(p, panel, framed.rest); });
  const int64_t tile_rows = (p.shape.h + 3) / 4;
  parallel_for(p.shape.n * tile_rows, [&](int64_t chunk, int thread) {
    float* own = framed.rest + weights + (source + product) * thread;
    const Winograd w{in, tiles, framed.rest, own, own + source};
    const int64_t n = chunk / tile_rows, y = chunk % tile_rows * 4;
    transform_tiles(w, framed, n, y, p.shape.w);
    for (int64_t panel = 0; panel < panels; ++panel) {
      multiply_places(w, panel);
      transform_back(w, p, n * p.shape.h + y, y, panel * panel_width);
    }
  });
}

}  // namespace

const LadderEntries ladder{vectorised, threaded, winograd};

}  // namespace pixelwise::PIXELWISE_ISA
