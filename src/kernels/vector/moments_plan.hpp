// Where a convolution keeps what it sums of its results (vector/moments.hpp): plain numbers, from shapes only.
#pragma once
#include <cstdint>

namespace pixelwise {

/// Partial sums in scratch, each of all channels. A chunk of work adds to one of them, and they are merged in order.
struct MomentsPlan {
  int64_t parts = 0;   ///< 0: moments are not wanted
  int64_t pitch = 0;   ///< channels, and whole panels of weights
  int64_t offset = 0;  ///< bytes, in scratch
  int64_t part_doubles() const { return 2 * pitch; }
  int64_t bytes() const { return 8 * parts * part_doubles(); }
};

}  // namespace pixelwise
