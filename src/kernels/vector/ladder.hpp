// The rungs of the ladder that are compiled for each instruction set, and what they share with the others.
#pragma once
#include "pixelwise/kernels/ladder.hpp"

namespace pixelwise {

/// x with a frame of zeros, so that no loop asks whether it stands outside. Width and height are rounded up, so that
/// tiles of 2, 4 or 6 pixels fit without a rest.
struct Framed {
  int64_t height, width, channels;
  float* data;
  float* rest;  ///< behind it, as many floats as were asked for
  [[gnu::always_inline]] const float* at(int64_t n, int64_t y, int64_t x) const {
    return data + ((n * height + y) * width + x) * channels;
  }
};

/// Copies x into problem.scratch, with its frame, and leaves room for `rest` floats more.
Framed frame(LadderProblem& problem, int64_t rest);
/// Panel p holds the weights of outputs p * width ... as [9 in][width], 0 for outputs that do not exist: what a tile
/// reads, in the order in which it is read.
void pack_panels(const LadderProblem& problem, int64_t width, float* panels);
int64_t panel_floats(const LadderProblem& problem, int64_t width);

struct LadderEntries {
  void (*vectorised)(LadderProblem&);
  void (*threaded)(LadderProblem&);
  void (*winograd)(LadderProblem&);
};

namespace baseline {
extern const LadderEntries ladder;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const LadderEntries ladder;
}
namespace avx512 {
extern const LadderEntries ladder;
}
#endif

/// What an instruction set has.
static inline const LadderEntries& ladder_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::ladder;
  if (isa == Isa::avx2) return avx2::ladder;
#endif
  return baseline::ladder;
}

}  // namespace pixelwise
