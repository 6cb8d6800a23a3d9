// What the vector convolution kernels (implicit_gemm.cpp, conv_weights.cpp, conv_depthwise.cpp and others) are told:
// plain numbers, computed once when a kernel is selected, from shapes and the instruction set only.
#pragma once
#include "kernels/vector/moments_plan.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// The destination pixels offset, offset + step, ... of one axis, and the taps they meet: destination q reads source
/// q * stride + first_shift + t * shift_step with kernel index first_tap + t * tap_step, for t < taps.
struct AxisPhase {
  int64_t offset, count, taps, first_tap, tap_step, first_shift, shift_step;
};

/// A convolution has one phase an axis; the gradient of a convolution of stride s has s, each a dense convolution over
/// the taps that fall on it.
struct Axis {
  static constexpr int64_t max_phases = 64;
  AxisPhase phase[max_phases];
  int64_t phases = 0, stride = 1, step = 1;
  int64_t low = 0, high = 0, count = 0;  ///< of all phases: least and largest shift, most pixels
  int64_t extent() const { return (count - 1) * stride + high - low + 1; }
};

/// dst(q) = sum over taps and channels of src(q stride + shift) w: forward of a convolution, or its data gradient.
struct Gather {
  static constexpr int64_t pointwise_chunks = 64;
  static constexpr int64_t max_taps = 4096;  ///< FCN-32s upsamples with a kernel of 64x64
  Axis h, w;
  Shape src, dst;
  Size kernel;
  bool transposed_weights = false;      ///< the source's channels are the weights' first axis
  int64_t block = 0;                    ///< destination channels of a panel of weights: two vectors
  int64_t in_block = 0, in_blocks = 0;  ///< source channels of a panel
  int64_t rows = 0, bands = 0;          ///< destination rows (of a phase) of a band
  int64_t out_blocks = 0, out_groups = 0;
  bool prepacked = true;   ///< the weights are in Arguments::packed; else panels are packed as needed
  bool in_place = false;   ///< one tap and no border: a plain source is read where it is
  bool pointwise = false;  ///< in_place, one phase, and the weights stay in L2
  bool tapwise = false;  ///< atrous, of many channels: tap by tap from where the source is, without those in the border
  int64_t band_floats = 0, sum_floats = 0, panel_floats = 0;
  MomentsPlan moments;
  int64_t thread_floats() const { return band_floats + sum_floats + panel_floats; }
};

/// Pixels for which two vectors of the fine map, and as much of the coarse map, stay in the L1 cache.
inline constexpr int64_t outer_pixels = 144;

/// The weight gradient of a 1x1 convolution of stride 1 as one matrix product over all pixels: the channels of one map
/// are broadcast, those of the other are in vectors.
struct PointProduct {
  bool on = false;
  bool swapped = false;                                            ///< the fine map's channels are broadcast
  int64_t broadcast_groups = 0;                                    ///< of channels, a chunk's share
  int64_t vector_group = 0, vector_groups = 0, packed_group = 0;   ///< in whole blocks of two vectors
  int64_t slabs = 1, bands = 0;                                    ///< bands of pixels, dealt to slabs in order
  int64_t group_rows = 0, sums_row = 0, sum_floats = 0, band = 0;  ///< most of a chunk; pixels of a band
  int64_t slab_floats() const { return slabs > 1 ? slabs * broadcast_groups * vector_groups * sum_floats : 0; }
  int64_t thread_floats() const {
    return (slabs > 1 ? 0 : sum_floats) + block_floats() + band * ((group_rows + 15) / 16 * 16);
  }
  int64_t block_floats() const { return band * packed_group; }  ///< a band of a chunk's vectors, packed
};

/// diff_w(o, k, i) = sum over coarse pixels q of fine(q stride - pad + k dilation, i) coarse(q, o).
struct Correlation {
  Size kernel, stride, pad, dilation;
  Shape fine, coarse;
  int fine_operand = 0;                    ///< of Arguments::src; the coarse map is the other
  int64_t slabs = 0, rows = 0, bands = 0;  ///< bands of `rows` rows of an image, dealt to slabs in order
  int64_t out_group = 0, out_groups = 0;   ///< coarse channels of a chunk
  int64_t in_group = 0, in_groups = 0;     ///< fine channels of a chunk
  int64_t tap_rows = 0;                    ///< rows of the kernel of a chunk: all, or one
  int64_t tap_pitch = 0, run_pitch = 0;    ///< most floats of a tap, and of a row of taps, in a chunk's sums
  int64_t sums_row = 0;                    ///< floats of a coarse channel in a chunk's sums
  int64_t coarse_pitch = 0;                ///< floats of a coarse pixel where it is packed
  int64_t sum_floats = 0, fine_floats = 0, coarse_floats = 0;
  PointProduct point;  ///< where it is on, for maps whose pixels are one long row
  int64_t thread_floats() const { return sum_floats + fine_floats + coarse_floats; }
  int64_t weights() const { return kernel.h * kernel.w * fine.c * coarse.c; }
  int64_t scratch_floats(int64_t threads) const {
    const int64_t general = (slabs > 1 ? slabs * weights() : 0) + threads * thread_floats(),
                  products = point.slab_floats() + threads * point.thread_floats();
    return general > products ? general : products;
  }
};

/// A convolution that reads few channels, forward and the gradient of its weights.
struct FewChannels {
  static constexpr int64_t most_channels = 4;
  Size kernel, stride, pad;
  Shape fine, coarse;
  int64_t rows = 0, bands = 0;  ///< of the coarse map, a band's, which packs what it reads
  int64_t slabs = 0;            ///< of bands, with sums of their own, where it is the weights
  int64_t lanes = 0;
  MomentsPlan moments;
  int64_t run() const { return kernel.w * fine.c; }  ///< floats of a row of taps
  int64_t columns() const { return (coarse.w - 1) * stride.w + kernel.w; }
  int64_t padded_channels() const { return (coarse.c + 2 * lanes - 1) / (2 * lanes) * 2 * lanes; }
  int64_t fine_floats() const { return round_up_16(((rows - 1) * stride.h + kernel.h) * columns() * fine.c); }
  int64_t sum_floats() const { return kernel.h * run() * padded_channels(); }
  int64_t thread_floats() const { return fine_floats() + round_up_16((outer_pixels + 3) * padded_channels()); }
  static int64_t round_up_16(int64_t floats) { return (floats + 15) / 16 * 16; }
};

/// Every channel by itself, in all passes, vectorised over the channels.
struct Depthwise {
  static constexpr int64_t most_chunks = 32;
  Axis h, w;             ///< of the pass's destination; of the coarse map, where it is the weights
  int64_t chunks = 0;    ///< of rows
  int64_t slabs = 0;     ///< of rows, with sums of their own, where it is the weights
  int fine_operand = 0;  ///< of Arguments::src, where the weight gradient reads both
  MomentsPlan moments;
};

#define PIXELWISE_DECLARE_CONVOLUTION(isa)                             \
  namespace isa {                                                      \
  void gather_pack(const Gather& g, const Arguments& a);               \
  void gather(const Gather& g, const Arguments& a);                    \
  void correlate(const Correlation& c, const Arguments& a);            \
  void few_channels_pack(const FewChannels& f, const Arguments& a);    \
  void few_channels(const FewChannels& f, const Arguments& a);         \
  void few_channels_weights(const FewChannels& f, const Arguments& a); \
  void depthwise(const Depthwise& d, const Arguments& a);              \
  void depthwise_weights(const Depthwise& d, const Arguments& a);      \
  }
PIXELWISE_DECLARE_CONVOLUTION(baseline)
#ifdef PIXELWISE_X86
PIXELWISE_DECLARE_CONVOLUTION(avx2)
PIXELWISE_DECLARE_CONVOLUTION(avx512)
#endif
#undef PIXELWISE_DECLARE_CONVOLUTION

}  // namespace pixelwise
