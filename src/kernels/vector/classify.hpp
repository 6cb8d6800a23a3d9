// The vector kernels from scores to classes, and their entry points in each instruction set.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// Scratch: `tile_floats` for each thread (a multiple of 16).
struct ClassifyJob {
  int64_t tile_floats = 0;
};

/// one_hot returns false where a class id is out of range (the definition then says which).
struct ClassifyEntries {
  void (*softmax)(const ClassifyJob&, const Arguments&);
  void (*softmax_backward)(const Arguments&);
  void (*argmax)(const ClassifyJob&, const Arguments&);
  bool (*one_hot)(const OneHotSpec&, const Arguments&);
  int lanes;  ///< pixels of a tile
};

namespace baseline {
extern const ClassifyEntries classify;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const ClassifyEntries classify;
}
namespace avx512 {
extern const ClassifyEntries classify;
}
#endif

/// What an instruction set has.
static inline const ClassifyEntries& classify_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::classify;
  if (isa == Isa::avx2) return avx2::classify;
#endif
  return baseline::classify;
}

}  // namespace pixelwise
