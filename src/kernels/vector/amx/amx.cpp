// The AMX kernels on AMX: the only file with its instructions (tiles.hpp says what each function does). They are
// written in assembly because GCC 12's intrinsics do not say what they read: _tile_loadd nothing, _tile_loadconfig 8 of
// 64 bytes, so that a store before them may come too late.
#include "kernels/vector/amx_kernels.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

class AmxTiles {
 public:
  AmxTiles() {
    // What LDTILECFG reads: palette 1, then for each tile its bytes a row, and its rows.
    struct alignas(64) Config {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    static_assert(sizeof config == 64);
    for (int t = 0; t < 8; ++t) config.row_bytes[t] = 64, config.rows[t] = tile_edge;
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~AmxTiles() { asm volatile("tilerelease"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  template <int t>
  [[gnu::always_inline]] void zero(Tile<t>) {
    asm volatile("tilezero %%tmm%c0" : : "i"(t));
  }
  template <int t>
  [[gnu::always_inline]] void load(Tile<t>, const void* from, int64_t step) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(step), "i"(t) : "memory");
  }
  template <int t>
  [[gnu::always_inline]] void store(Tile<t>, float* to, int64_t step) const {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(step), "i"(t) : "memory");
  }
  template <int s, int a, int b>
  [[gnu::always_inline]] void dot(Tile<s>, Tile<a>, Tile<b>) {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(s), "i"(a), "i"(b));
  }
};

}  // namespace

const AmxEntries amx_kernels = entries_on<AmxTiles>();

}  // namespace pixelwise::PIXELWISE_ISA
