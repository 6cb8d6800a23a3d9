// Products of float matrices on tiles of bf16: with x = xh + xl and w = wh + wl (bf16.hpp), x w = xh wl + xh wh + xl
// wh, summed in floats. What is left out, xl wl, is 2^-16 of x w or less.
#pragma once
#include "kernels/vector/tiles.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// A matrix whose rows are `row` elements apart, each with its low parts `low` elements behind its high parts.
struct Left {
  const bf16* high;
  int64_t row, low;
};

/// Elements of a tile of the right matrix: its high parts, then its low parts.
inline constexpr int right_size = 2 * tile_size;

/// The sums of M x V tiles in four of the registers, row by row; registers 4 and 5 hold the left, 6 and 7 the right
/// matrix.
template <int M, int V, class Tiles>
class TileProduct {
 public:
  static constexpr int width = V * tile_edge;  ///< floats of a row of the sums

  explicit TileProduct(Tiles& tiles) : tiles_(tiles) {}

  void zero() {
    for_each([&](auto sum, int64_t) { tiles_.zero(sum); });
  }
  /// From and to [M * tile_edge][width].
  void load(const float* sums) {
    for_each([&](auto sum, int64_t offset) { tiles_.load(sum, sums + offset, width * 4); });
  }
  void store(float* sums) const {
    for_each([&](auto sum, int64_t offset) { tiles_.store(sum, sums + offset, width * 4); });
  }
  /// sums += x w, of a depth of 32: for 2 x 2 tiles twelve products from eight loads.
  [[gnu::always_inline]] void add(const Left& x, const bf16* w) {
    load_left(x, 0);
    load_right(w + tile_size);
    multiply();  // xh wl
    load_right(w);
    multiply();  // xh wh
    load_left(x, x.low);
    multiply();  // xl wh
  }

 private:
  template <class Fn>
  [[gnu::always_inline]] static void for_each(const Fn& fn) {
    fn(Tile<0>(), 0);
    if constexpr (V == 2) fn(Tile<1>(), tile_edge);
    if constexpr (M == 2) fn(Tile<2>(), tile_edge * width);
    if constexpr (M == 2 && V == 2) fn(Tile<3>(), tile_edge * width + tile_edge);
  }
  [[gnu::always_inline]] void load_left(const Left& x, int64_t offset) {
    tiles_.load(Tile<4>(), x.high + offset, x.row * 2);
    if constexpr (M == 2) tiles_.load(Tile<5>(), x.high + offset + tile_edge * x.row, x.row * 2);
  }
  [[gnu::always_inline]] void load_right(const bf16* w) {
    tiles_.load(Tile<6>(), w, 64);
    if constexpr (V == 2) tiles_.load(Tile<7>(), w + right_size, 64);
  }
  [[gnu::always_inline]] void multiply() {
    tiles_.dot(Tile<0>(), Tile<4>(), Tile<6>());
    if constexpr (V == 2) tiles_.dot(Tile<1>(), Tile<4>(), Tile<7>());
    if constexpr (M == 2) tiles_.dot(Tile<2>(), Tile<5>(), Tile<6>());
    if constexpr (M == 2 && V == 2) tiles_.dot(Tile<3>(), Tile<5>(), Tile<7>());
  }

  Tiles& tiles_;
};

/// fn.template operator()<M, V>() for so many tiles, 1 or 2 each.
template <class Fn>
[[gnu::always_inline]] inline void with_tiles(int64_t m, int64_t v, const Fn& fn) {
  if (m == 2) return v == 2 ? fn.template operator()<2, 2>() : fn.template operator()<2, 1>();
  v == 2 ? fn.template operator()<1, 2>() : fn.template operator()<1, 1>();
}

/// 32 rows of `width` floats (whole tiles) become the right matrix of a product.
inline void pack_right(const float* rows, int64_t width, bf16* to) {
  for (int64_t v = 0; v < width; v += tile_edge, to += right_size) {
    for (int64_t k = 0; k < tile_depth; k += 2) {
      for (int64_t n = 0; n < tile_edge; n += lanes) {
        const float* row = rows + k * width + v + n;
        const Split even = split(load(row)), odd = split(load(row + width));
        store_pairs(to + k * tile_edge + 2 * n, even.high, odd.high);
        store_pairs(to + tile_size + k * tile_edge + 2 * n, even.low, odd.low);
      }
    }
  }
}

}  // namespace pixelwise::PIXELWISE_ISA
