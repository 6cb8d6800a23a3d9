// What the AMX kernels (amx_gather.hpp, amx_weights.hpp) are told: plain numbers, computed once when a kernel is
// selected, from shapes only.
#pragma once
#include "kernels/vector/conv_plan.hpp"
#include "pixelwise/kernels/ladder.hpp"

namespace pixelwise {

/// How rows of a map are packed for an atrous or strided convolution. Destination rows c, c + classes, c + 2 classes,
/// ... are class c: they meet source rows that are `step` apart, as if they were a dense map. Row j of a class meets
/// its source rows j * stride + tap; those stand in `phases` groups, u = j * stride + tap in place u / stride of group
/// u % stride, so that from j to j + 1 every tap moves by one row.
struct RowClasses {
  int64_t classes = 1, step = 1, stride = 1, phases = 1;
};

/// dst(q) = sum over taps and channels of src(q stride + shift) w, as Gather. A strip of rows of a class is packed with
/// `pitch` destination pixels from row to row: the zeros behind a row are the right border of that row and the left one
/// of the next. So every tap is a constant offset from pixel to pixel, across the ends of rows, and 16 pixels in a row
/// are a tile.
struct AmxGather {
  Axis h, w;
  Shape src, dst;
  bool transposed_weights = false;  ///< the source's channels are the weights' first axis
  bool joined = false;              ///< few channels: the taps of a row are one run of (column, channel)
  bool shared = false;              ///< all strips are packed before the products; else each chunk packs its own
  bool prepacked = true;            ///< the weights are in Arguments::packed; else panels are packed as needed

  RowClasses classes;
  int64_t pitch = 0;                      ///< destination pixels from row to row
  int64_t tile_step = 1;                  ///< packed pixels from one destination pixel to the next
  int64_t column_step = 1, columns = 0;   ///< packed columns of a row: every column_step-th of the source
  int64_t lead = 0, beyond = 32;          ///< packed pixels before the first row (zeros), and behind the last
  int64_t rows = 0, bands = 0;            ///< destination rows of a strip; strips of a class
  int64_t phase_rows = 0;                 ///< packed rows of each of classes.phases groups
  int64_t strips = 0, strip_groups = 0;   ///< consecutive strips that a chunk works on
  int64_t in_block = 0, in_blocks = 0;    ///< channels that are packed at a time
  int64_t pixel = 0, low = 0, plane = 0;  ///< elements from pixel to pixel, high to low, 32 channels to the next 32
  int64_t strip_size = 0;                 ///< elements
  int64_t out_blocks = 0, out_groups = 0;
  int64_t steps = 0;                        ///< products of depth 32, of all taps of all phases, for each 32 channels
  int64_t sums = 0;                         ///< floats of the sums that a chunk keeps between blocks of channels
  int64_t panel = 0;                        ///< elements of a panel that is packed as needed
  static constexpr int64_t out_block = 32;  ///< destination channels of a panel: two tiles

  int64_t shared_bytes() const { return shared ? 2 * dst.n * h.phases * classes.classes * bands * strip_size : 0; }
  int64_t strips_bytes() const { return shared ? 0 : 2 * strips * strip_size; }
  int64_t thread_bytes() const { return strips_bytes() + 4 * sums + 2 * panel; }
  int64_t channel_blocks() const { return joined ? 1 : (src.c + 31) / 32; }
  /// Products of depth 32 for one row of the kernel.
  int64_t columns_of(const AxisPhase& w_phase) const {
    return joined ? (w_phase.taps * src.c + 31) / 32 : w_phase.taps;
  }
};

/// diff_w(o, k, i) = sum over coarse pixels q of fine(q stride - pad + k dilation, i) coarse(q, o), as Correlation. The
/// depth of the products are 32 pixels in a row: the fine map is packed as [channel][pixel], a plane for each of
/// `column_phases` columns that a stride tells apart, the coarse map as pairs of pixels. The coarse map has zeros
/// between its rows, so that nothing else asks where a row ends.
struct AmxCorrelation {
  Size kernel, stride, pad, dilation;
  Shape fine, coarse;
  int fine_operand = 0;  ///< of Arguments::src; the coarse map is the other
  RowClasses classes;
  int64_t pitch = 0, lead = 0, column_phases = 1;
  int64_t rows = 0, bands = 0, phase_rows = 0;
  int64_t slabs = 0;  ///< equal parts of the bands, whose results are added in order
  int64_t in_group = 0, in_groups = 0, out_group = 0, out_groups = 0;  ///< channels of a chunk
  int64_t tap_rows = 0, tap_groups = 0;                                ///< rows of the kernel of a chunk
  int64_t span = 0;                                                    ///< pixels that all taps take in turn
  int64_t plane = 0, channel = 0;                    ///< elements of a plane, and from channel to channel
  int64_t sums = 0, fine_size = 0, coarse_size = 0;  ///< floats and elements of a thread
  int64_t thread_bytes() const { return 4 * sums + 2 * (fine_size + coarse_size); }
  int64_t weights() const { return kernel.h * kernel.w * fine.c * coarse.c; }
};

struct AmxEntries {
  void (*pack)(const AmxGather&, const Arguments&);
  void (*gather)(const AmxGather&, const Arguments&);
  void (*correlate)(const AmxCorrelation&, const Arguments&);
  void (*ladder)(LadderProblem&);
  /// For tests: sums[16][16] += a b by one `dot`, and high + low of `count` floats as bf16.
  void (*dot)(const uint16_t* a, const uint16_t* b, float* sums);
  void (*split)(const float* x, int64_t count, uint16_t* high, uint16_t* low);
};

namespace baseline {
extern const AmxEntries amx_kernels;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const AmxEntries amx_kernels;
}
namespace avx512 {
extern const AmxEntries amx_kernels;
}
#endif
#ifdef PIXELWISE_AMX
namespace amx {
extern const AmxEntries amx_kernels;
}
#endif

/// On real tiles for Isa::amx, else on emulated ones (conv2d_amx.cpp).
const AmxEntries& amx_entries(Isa isa);

}  // namespace pixelwise
