// Selection and blocking of the kernel `strassen`: a pure function of shapes and instruction set.
#include <algorithm>
#include <memory>

#include "core/format.hpp"
#include "kernels/convolution.hpp"
#include "kernels/vector/strassen.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

// A band's left sides stay in the L2 cache with what passes through it. Panels are read again for every band: where
// they come from memory, that costs more than sides that come from the L3 cache.
constexpr int64_t half_channels = 384, band_rows = 28, large_band_rows = 128, cached_bytes = 32 << 20;

int64_t packed_bytes(const Strassen& s) { return 4 * s.in_blocks * s.pairs * s.panel_floats(); }

Strassen plan(const Convolution& conv, const Problem& problem) {
  Strassen s;
  s.src = problem.src[0].shape;
  s.dst = problem.dst[0].shape;
  s.transposed_weights = (problem.pass == Pass::forward) == conv.transposed;
  s.block = 2 * lanes_of(problem.isa);
  s.pairs = ceil_div(s.dst.c, 2 * s.block);
  s.in_blocks = ceil_div(s.src.c, 2 * half_channels);
  s.half = round_up(ceil_div(s.src.c, 2 * s.in_blocks), 16);
  s.in_blocks = ceil_div(s.src.c, 2 * s.half);
  s.pitch = odd_lines(s.half);
  const int64_t most_rows = packed_bytes(s) > cached_bytes ? large_band_rows : band_rows;
  s.bands = ceil_div(s.dst.pixels(), 2 * most_rows);
  s.rows = ceil_div(ceil_div(s.dst.pixels(), s.bands), 2);
  // So that there are chunks for all threads. A group makes its left sides by itself.
  s.pair_groups = std::min(s.pairs, ceil_div(int64_t{4} * std::max(1, problem.threads), s.bands));
  return s;
}

std::string declines(const Convolution& conv, const Problem& problem) {
  if (problem.precision == Precision::strict) return "precision strict: it rounds differently from a plain sum";
  if (problem.pass == Pass::backward_weights) return "the weight gradient: it is for forward and data gradient";
  if (const std::string dense = declines_dense(conv, problem); !dense.empty()) return dense;
  if (conv.kernel != Size{1, 1}) return format("kernel {}: it is for 1x1", to_string(conv.kernel));
  if (conv.stride != Size{1, 1} || conv.pad != Size{0, 0})
    return format("stride {}, padding {}: it is for 1 and 0", to_string(conv.stride), to_string(conv.pad));
  return {};
}

struct Entries {
  void (*pack)(const Strassen&, const Arguments&);
  void (*run)(const Strassen&, const Arguments&);
};
Entries entries_of([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return {avx512::strassen_pack, avx512::strassen};
  if (isa == Isa::avx2) return {avx2::strassen_pack, avx2::strassen};
#endif
  return {baseline::strassen_pack, baseline::strassen};
}

}  // namespace

// Sums cost in proportion to pixels and channels, products to both numbers of channels. What is packed at every step
// must be little beside what is computed.
bool strassen_pays(const Convolution& conv, const Problem& problem) {
  const int64_t bytes = 4 * conv.fine_channels * conv.coarse_channels;
  return std::min(conv.fine_channels, conv.coarse_channels) >= 256 && bytes >= 1 << 20 &&
         (problem.fixed_parameters || bytes <= cached_bytes) && problem.dst[0].shape.pixels() >= 128;
}

Kernel strassen_kernel(const Convolution& conv, const Problem& problem) {
  Kernel kernel{"strassen"};
  kernel.declined = declines(conv, problem);
  if (!kernel.declined.empty()) return kernel;
  const auto s = std::make_shared<Strassen>(plan(conv, problem));
  kernel.scratch_bytes = 4 * std::max(1, problem.threads) * (s->left_floats() + s->sum_floats());
  s->moments = plan_moments(kernel, problem, s->bands);
  kernel.packed_bytes = packed_bytes(*s);
  const Entries entries = entries_of(problem.isa);
  kernel.pack = [s, entries](const Arguments& a) { entries.pack(*s, a); };
  kernel.run = [s, entries](const Arguments& a) { entries.run(*s, a); };
  return kernel;
}

}  // namespace pixelwise
