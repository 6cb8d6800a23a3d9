// The vector kernels of resizing, and their entry points in each instruction set.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// Pixel i of the resized axis is (1 - share) * src[low] + share * src[high].
struct Blend {
  int64_t low, high;
  double share;
};
/// The pixels [first, last) of the resized axis that read a source pixel.
struct Readers {
  int64_t first, last;
};
struct ResizeJob {
  const Blend *rows, *columns;  ///< one for each row and column of the resized map
  const Readers* row_readers;   ///< one for each row of the source
};

struct ResizeEntries {
  void (*forward)(const ResizeJob&, const Arguments&);
  void (*backward)(const ResizeJob&, const Arguments&);
};

namespace baseline {
extern const ResizeEntries resize;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const ResizeEntries resize;
}
namespace avx512 {
extern const ResizeEntries resize;
}
#endif

/// What an instruction set has.
static inline const ResizeEntries& resize_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::resize;
  if (isa == Isa::avx2) return avx2::resize;
#endif
  return baseline::resize;
}

}  // namespace pixelwise
