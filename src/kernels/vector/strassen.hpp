// What the kernel `strassen` (strassen.cpp) is told: plain numbers, computed once when it is selected
// (conv2d_strassen.cpp), from shapes and the instruction set only.
#pragma once
#include "kernels/vector/moments_plan.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// A 1x1 convolution as the product of a matrix of pixels x source channels with one of source x destination channels,
/// a band of pixels and a block of source channels at a time. Each is cut in half along all three axes: the pixels of a
/// band, the channels of a block, and 2 `block` destination channels, a pair of panels.
struct Strassen {
  static constexpr int64_t products = 7;
  Shape src, dst;
  bool transposed_weights = false;         ///< the source's channels are the weights' first axis
  int64_t block = 0, pairs = 0;            ///< destination channels of a panel: two vectors
  int64_t pair_groups = 0;                 ///< of pairs, a chunk's share
  int64_t half = 0, in_blocks = 0;         ///< source channels of half a block
  int64_t bands = 0, rows = 0, pitch = 0;  ///< pixels of half a band; floats from one to the next
  MomentsPlan moments;
  int64_t panel_floats() const { return products * half * block; }
  int64_t left_floats() const { return products * rows * pitch; }
  int64_t sum_floats() const {  ///< of all pairs of a chunk, where there are several blocks
    return 4 * rows * block * (in_blocks > 1 ? (pairs + pair_groups - 1) / pair_groups : 1);
  }
};

#define PIXELWISE_DECLARE_STRASSEN(isa)                      \
  namespace isa {                                            \
  void strassen_pack(const Strassen& s, const Arguments& a); \
  void strassen(const Strassen& s, const Arguments& a);      \
  }
PIXELWISE_DECLARE_STRASSEN(baseline)
#ifdef PIXELWISE_X86
PIXELWISE_DECLARE_STRASSEN(avx2)
PIXELWISE_DECLARE_STRASSEN(avx512)
#endif
#undef PIXELWISE_DECLARE_STRASSEN

}  // namespace pixelwise
