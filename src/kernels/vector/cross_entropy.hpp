// The vector kernels of pixel-wise softmax cross-entropy, and their entry points in each instruction set.
#pragma once
#include "kernels/vector/resize.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// Scratch: `tiles` tiles for each thread; then three doubles for each chunk (forward), or a row of gradients of the
/// small map for each chunk (backward of resized scores).
struct CrossEntropyJob {
  SoftmaxCrossEntropySpec loss{};
  int64_t chunks = 0;           ///< that the map is cut into
  int64_t tile_floats = 0;      ///< of a thread, all tiles
  int64_t sums_offset = 0;      ///< in bytes
  ResizeJob resize{};           ///< of resized scores: rows and columns
  const int64_t* large_rows{};  ///< rows [large_rows[y], large_rows[y + 1]) blend row y of the small map and the next
  int64_t strip = 0;            ///< rows of the small map in a chunk
};

/// They return false where a class id is out of range (the definition then says which).
struct CrossEntropyEntries {
  bool (*forward)(const CrossEntropyJob&, const Arguments&);
  bool (*backward)(const CrossEntropyJob&, const Arguments&);
  bool (*resized_forward)(const CrossEntropyJob&, const Arguments&);
  bool (*resized_backward)(const CrossEntropyJob&, const Arguments&);
  int64_t (*chunks)(const Shape&);  ///< of scores that are not resized
  int lanes;                        ///< pixels of a tile
};

namespace baseline {
extern const CrossEntropyEntries cross_entropy;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const CrossEntropyEntries cross_entropy;
}
namespace avx512 {
extern const CrossEntropyEntries cross_entropy;
}
#endif

/// What an instruction set has.
static inline const CrossEntropyEntries& cross_entropy_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::cross_entropy;
  if (isa == Isa::avx2) return avx2::cross_entropy;
#endif
  return baseline::cross_entropy;
}

}  // namespace pixelwise
