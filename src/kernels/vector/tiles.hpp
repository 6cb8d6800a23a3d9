// The tiles of Intel's AMX: eight registers of 16 rows x 64 bytes, and a unit that multiplies two of them. The kernels
// (amx_gather.hpp, amx_weights.hpp) are templates on a class `Tiles` with five functions. This file has the one that
// every processor runs; amx/amx.cpp has the one whose functions are an instruction each. Both compute the same, so that
// everything but these five instructions is tested everywhere.
//   zero(t)              t = 0
//   load(t, p, step)     row i of t = the 64 bytes at p + i * step (bytes)
//   store(t, p, step)    and back
//   dot(s, a, b)         s[m][n] += sum over k < 32 of a[m][k] * b[k / 2][n][k % 2]
//   constructor          makes the registers ready for this thread; the destructor gives them back
// s holds 16 x 16 floats, a 16 x 32 bf16, and b 16 pairs of rows of a 32 x 16 matrix of bf16.
#pragma once
#include "kernels/vector/bf16.hpp"

namespace pixelwise::PIXELWISE_ISA {

inline constexpr int tile_edge = 16;                      ///< rows of a tile, and floats in a row
inline constexpr int tile_depth = 32;                     ///< bf16 in a row: the length of the sums of a dot
inline constexpr int tile_size = tile_edge * tile_depth;  ///< bf16 in a tile

/// Names register n; an instruction has the number of its registers in itself.
template <int n>
struct Tile {};

class EmulatedTiles {
 public:
  template <int t>
  void zero(Tile<t>) {
    std::memset(tiles_[t], 0, sizeof tiles_[t]);
  }
  template <int t>
  void load(Tile<t>, const void* from, int64_t step) {
    for (int i = 0; i < tile_edge; ++i) std::memcpy(tiles_[t][i], static_cast<const char*>(from) + i * step, 64);
  }
  template <int t>
  void store(Tile<t>, float* to, int64_t step) const {
    for (int i = 0; i < tile_edge; ++i) std::memcpy(reinterpret_cast<char*>(to) + i * step, tiles_[t][i], 64);
  }
  template <int s, int a, int b>
  void dot(Tile<s>, Tile<a>, Tile<b>) {
    for (int m = 0; m < tile_edge; m += rows)
      for (int n = 0; n < tile_edge; n += lanes) dot(tiles_[s] + m, tiles_[a] + m, tiles_[b], n);
  }

 private:
  using Row = float[tile_edge];  // a float or a pair of bf16 each
  static constexpr int rows = 4;

  // `rows` rows and a vector of columns, in the order in which the instruction adds (Intel's manual, TDPBF16PS): the
  // even products and the odd ones, then both together, then to what was there.
  [[gnu::always_inline]] static void dot(Row* s, const Row* a, const Row* b, int n) {
    vfloat even[rows] = {}, odd[rows] = {};
    for (int k = 0; k < tile_depth / 2; ++k) {
      const vuint pairs = reinterpret_cast<vuint>(pixelwise::PIXELWISE_ISA::load(b[k] + n));
      const vfloat b_even = reinterpret_cast<vfloat>(pairs << 16), b_odd = reinterpret_cast<vfloat>(pairs & upper);
#pragma GCC unroll 4
      for (int m = 0; m < rows; ++m) {
        const vuint pair = reinterpret_cast<vuint>(broadcast_bits(a[m][k]));
        even[m] = fma(reinterpret_cast<vfloat>(pair << 16), b_even, even[m]);
        odd[m] = fma(reinterpret_cast<vfloat>(pair & upper), b_odd, odd[m]);
      }
    }
    for (int m = 0; m < rows; ++m)
      pixelwise::PIXELWISE_ISA::store(s[m] + n, pixelwise::PIXELWISE_ISA::load(s[m] + n) + (even[m] + odd[m]));
  }
  static constexpr uint32_t upper = 0xffff0000;
  // broadcast() subtracts 0, which may change bits that are not a float.
  [[gnu::always_inline]] static vuint broadcast_bits(const float& pair) {
    uint32_t bits;
    std::memcpy(&bits, &pair, sizeof bits);
    return bits - vuint{};
  }

  alignas(64) Row tiles_[8][tile_edge];
};

}  // namespace pixelwise::PIXELWISE_ISA
