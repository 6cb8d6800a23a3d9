// The rung of the ladder on tiles, the last.
#pragma once
#include "kernels/vector/ladder.hpp"
#include "kernels/vector/maps.hpp"
#include "kernels/vector/tile_product.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// The frame and the weights in parts: 32 channels of a pixel are [32 high][32 low], a step of the sum.
struct InParts {
  int64_t steps;  // in / 32, rounded up
  bf16 *pixels, *weights;
  bf16* pixel(const Framed& framed, int64_t n, int64_t y, int64_t x) const {
    return pixels + ((n * framed.height + y) * framed.width + x) * steps * 2 * tile_depth;
  }
  /// [9 taps][steps] right matrices of 32 outputs each.
  bf16* panel(int64_t index) const { return weights + index * 9 * steps * 2 * right_size; }
};

/// One row of the frame.
inline void split_row(const Framed& framed, const InParts& parts, int64_t row) {
  const float* x = framed.data + row * framed.width * framed.channels;
  bf16* to = parts.pixel(framed, 0, row, 0);
  for (int64_t i = 0; i < framed.width; ++i, x += framed.channels)
    for (int64_t step = 0; step < parts.steps; ++step, to += 2 * tile_depth)
      for (int64_t c = 0; c < tile_depth; c += lanes) {
        const int64_t left = framed.channels - step * tile_depth - c;
        const Split s = split(left > 0 ? load_some(x + step * tile_depth + c, left) : zero());
        store_bf16(to + c, s.high);
        store_bf16(to + tile_depth + c, s.low);
      }
}

inline void split_panel(const LadderProblem& p, const InParts& parts, int64_t panel) {
  constexpr int64_t width = 2 * tile_edge;
  bf16* to = parts.panel(panel);
  for (int64_t tap = 0; tap < 9; ++tap)
    for (int64_t step = 0; step < parts.steps; ++step, to += 2 * right_size) {
      float rows[tile_depth * width];  // [in][out]
      for (int64_t k = 0; k < tile_depth; ++k)
        for (int64_t j = 0; j < width; ++j) {
          const int64_t i = step * tile_depth + k, o = panel * width + j;
          rows[k * width + j] = i < p.shape.c && o < p.out ? p.weights[(o * 9 + tap) * p.shape.c + i] : 0;
        }
      pack_right(rows, width, to);
    }
}

/// Rung 7: 32 pixels by 32 outputs at once, on tiles that multiply bf16. A float is the sum of two, and the product of
/// two floats is that of three pairs of parts.
template <class Tiles>
void ladder_tiles(LadderProblem& p) {
  constexpr int64_t block = 2 * tile_edge;  // pixels, and outputs
  const int64_t steps = (p.shape.c + tile_depth - 1) / tile_depth, panels = (p.out + block - 1) / block;
  const int64_t rows = p.shape.n * ((p.shape.h + 3) / 4 * 4 + 2), width = (p.shape.w + 11) / 12 * 12 + 2;
  const int64_t pixels = (rows * width + block) * steps * 2 * tile_depth;  // the last tile reads past the frame
  const Framed framed = frame(p, (pixels + panels * 9 * steps * 2 * right_size) / 2);
  bf16* rest = reinterpret_cast<bf16*>(framed.rest);
  const InParts parts{steps, rest, rest + pixels};
  parallel_for(p.shape.n * framed.height, [&](int64_t row, int) { split_row(framed, parts, row); });
  parallel_for(panels, [&](int64_t panel, int) { split_panel(p, parts, panel); });
  parallel_for(p.shape.n * p.shape.h, [&](int64_t row, int) {
    Tiles tiles;
    TileProduct<2, 2, Tiles> product(tiles);
    const int64_t pixel = steps * 2 * tile_depth;
    for (int64_t panel = 0; panel < panels; ++panel)
      for (int64_t x = 0; x < p.shape.w; x += block) {
        const bf16* weights = parts.panel(panel);
        product.zero();
        for (int64_t tap = 0; tap < 9; ++tap) {
          const bf16* from = parts.pixel(framed, row / p.shape.h, row % p.shape.h + tap / 3, x + tap % 3);
          for (int64_t step = 0; step < steps; ++step, from += 2 * tile_depth, weights += 2 * right_size)
            product.add({from, pixel, tile_depth}, weights);
        }
        float sums[block * block];
        product.store(sums);
        for (int64_t m = 0; m < block && x + m < p.shape.w; ++m)
          for (int64_t j = 0; j < block && panel * block + j < p.out; ++j)
            p.y[(row * p.shape.w + x + m) * p.out + panel * block + j] = sums[m * block + j];
      }
  });
}

}  // namespace pixelwise::PIXELWISE_ISA
