// The vector kernels of pooling and unpooling, and their entry points in each instruction set.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// The windows of a pooling: coarse pixel i covers fine pixels i * stride - pad + [0, kernel).
struct Windows {
  Size kernel, stride, pad;
  bool count_include_pad = true;  ///< for means
};

struct PoolingEntries {
  void (*max_pool)(const Windows&, const Arguments&);
  void (*max_pool_backward)(const Windows&, const Arguments&);
  void (*max_unpool)(const Windows&, const Arguments&);
  void (*max_unpool_backward)(const Windows&, const Arguments&);
  void (*avg_pool)(const Windows&, const Arguments&);
  void (*avg_pool_backward)(const Windows&, const Arguments&);
};

namespace baseline {
extern const PoolingEntries pooling;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const PoolingEntries pooling;
}
namespace avx512 {
extern const PoolingEntries pooling;
}
#endif

/// What an instruction set has.
static inline const PoolingEntries& pooling_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::pooling;
  if (isa == Isa::avx2) return avx2::pooling;
#endif
  return baseline::pooling;
}

}  // namespace pixelwise
