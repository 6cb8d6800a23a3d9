#include "pixelwise/kernels/peak.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/vector/peak.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

FmaResult fma_loop(int64_t rounds) {
#ifdef PIXELWISE_X86
  if (isa() >= Isa::avx512) return avx512::fma_loop(rounds);
  if (isa() == Isa::avx2) return avx2::fma_loop(rounds);
#endif
  return baseline::fma_loop(rounds);
}

}  // namespace

double peak_gflops() {
  constexpr int tries = 8;
  constexpr int64_t rounds = 1'000'000;
  const int64_t chunks = thread_count();
  std::vector<FmaResult> results(static_cast<size_t>(chunks));
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(chunks, [&](int64_t chunk, int) { results[static_cast<size_t>(chunk)] = fma_loop(rounds); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(chunks * results[0].flops) * 1e-9 / took.count());
  }
  return best;
}

}  // namespace pixelwise
