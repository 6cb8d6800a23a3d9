// The vector kernels of operators that change or move elements one by one, and their entry points in each instruction
// set.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

struct ElementwiseEntries {
  void (*activation)(const ActivationSpec&, const Arguments&);
  void (*activation_backward)(const ActivationSpec&, const Arguments&);
  void (*add)(const Arguments&);
  void (*copy)(const View& src, const Destination& dst);  ///< of the same shape
  void (*fill)(const View& dst, float value);
  /// keys: of the random stream of each image.
  void (*dropout)(const DropoutSpec&, const uint64_t* keys, const Arguments&);
};

namespace baseline {
extern const ElementwiseEntries elementwise;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const ElementwiseEntries elementwise;
}
namespace avx512 {
extern const ElementwiseEntries elementwise;
}
#endif

/// What an instruction set has.
static inline const ElementwiseEntries& elementwise_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::elementwise;
  if (isa == Isa::avx2) return avx2::elementwise;
#endif
  return baseline::elementwise;
}

}  // namespace pixelwise
