#include "kernels/vector/peak.hpp"

#include "core/simd.hpp"

#ifdef __aarch64__
#define PIXELWISE_VECTOR_REGISTER "+w"
#else
#define PIXELWISE_VECTOR_REGISTER "+x"
#endif

namespace pixelwise::PIXELWISE_ISA {

FmaResult fma_loop(int64_t rounds) {
  constexpr int chains = 12;  // more than latency x throughput: 4 x 2
  vfloat c[chains];
#pragma GCC unroll 12
  for (int i = 0; i < chains; ++i) c[i] = broadcast(static_cast<float>(i));
  const vfloat a = broadcast(0.999f), b = broadcast(0.001f);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) {
      c[i] = fma(c[i], a, b);
      asm volatile("" : PIXELWISE_VECTOR_REGISTER(c[i]));  // keeps every step, in a register
    }
  }
  FmaResult result{rounds * chains * lanes * 2, 0};
#pragma GCC unroll 12
  for (int i = 0; i < chains; ++i) result.sum += reduce_add(c[i]);
  return result;
}

}  // namespace pixelwise::PIXELWISE_ISA
