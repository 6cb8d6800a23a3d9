// The AMX kernels on one kind of tiles.
#pragma once
#include "kernels/vector/amx_gather.hpp"
#include "kernels/vector/amx_weights.hpp"
#include "kernels/vector/ladder_tiles.hpp"

namespace pixelwise::PIXELWISE_ISA {

template <class Tiles>
void one_dot(const uint16_t* a, const uint16_t* b, float* sums) {
  Tiles tiles;
  tiles.load(Tile<0>(), sums, 64);
  tiles.load(Tile<4>(), a, 64);
  tiles.load(Tile<6>(), b, 64);
  tiles.dot(Tile<0>(), Tile<4>(), Tile<6>());
  tiles.store(Tile<0>(), sums, 64);
}

inline void split_all(const float* x, int64_t count, uint16_t* high, uint16_t* low) {
  for (int64_t i = 0; i < count; i += lanes) {
    const Split parts = split(load_some(x + i, count - i));
    store_some_bf16(high + i, parts.high, count - i);
    store_some_bf16(low + i, parts.low, count - i);
  }
}

template <class Tiles>
constexpr AmxEntries entries_on() {
  return {amx_pack, amx_gather<Tiles>, amx_correlate<Tiles>, ladder_tiles<Tiles>, one_dot<Tiles>, split_all};
}

}  // namespace pixelwise::PIXELWISE_ISA
