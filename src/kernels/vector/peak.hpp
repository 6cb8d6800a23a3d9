#pragma once
#include <cstdint>

namespace pixelwise {

/// Floating point operations of one call of fma_loop with this many rounds, and a number that depends on all of them.
struct FmaResult {
  int64_t flops;
  float sum;
};
namespace baseline {
FmaResult fma_loop(int64_t rounds);
}
#ifdef PIXELWISE_X86
namespace avx2 {
FmaResult fma_loop(int64_t rounds);
}
namespace avx512 {
FmaResult fma_loop(int64_t rounds);
}
#endif

}  // namespace pixelwise
