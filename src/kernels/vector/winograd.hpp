// What the Winograd kernels (winograd.cpp) are told: plain numbers, computed once when a kernel is selected, from
// shapes and the instruction set only.
#pragma once
#include "kernels/vector/moments_plan.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// A convolution of stride 1 (or the data gradient of one) by tiles of `tile` destination pixels:
/// dst(q) = sum over k and channels of src(q + offset + k dilation) w(k). A tile's pixels are `dilation` apart, so that
/// it is a tile of an ordinary convolution between two of the dilation^2 interleaved sub-images.
struct Winograd {
  Shape src, dst;
  Size offset, dilation;
  bool transposed_weights = false;  ///< the source's channels are the weights' first axis, and the taps are reversed
  Size tile;           ///< pixels: 3x3, 4x4 or 6x6 by 3x3 taps, 4x3, 3x4 or 4x2 by 7x7, or a Pair: 2x2 by 3x3
  int64_t kernel = 3;  ///< taps along an axis
  Size side;           ///< points along the axes
  Size phases, tiles;  ///< sub-images, and tiles of each, along both axes
  int64_t block = 0;   ///< destination channels of a panel of weights: two vectors
  int64_t out_blocks = 0;
  int64_t in_block = 0, in_blocks = 0;  ///< source channels of a panel
  int64_t summed = 0;                   ///< source channels of a sum
  bool prepacked = true;                ///< transformed weights are in Arguments::packed; else made as needed
  bool by_rows = false;                 ///< ... for some rows of points at a time
  bool packed_taps = false;             ///< ... from weights that Arguments::packed has in the order of their use
  bool shared = false;                  ///< all threads work on one band of tiles; else every thread has its own
  int64_t band = 0, group = 0;          ///< tiles that are transformed, and multiplied, at a time
  int64_t pitch = 0;                    ///< floats from tile to tile of the transformed source
  bool pooled = false;                  ///< only the result's max pooling by 2x2 with stride 2 is written
  MomentsPlan moments;
  static constexpr int64_t slice = 16;  ///< source channels whose weights are gathered at a time: a line of floats
  static constexpr int64_t gap = 16;    ///< floats between the points, against aliasing in the caches

  int64_t points() const { return side.h * side.w; }
  int64_t count() const { return src.n * phases.h * tiles.h * phases.w * tiles.w; }
  int64_t bands() const { return (count() + band - 1) / band; }
  /// Groups of tiles that are multiplied together, in the bands before this one.
  int64_t groups_before(int64_t index) const {
    const int64_t before = index * band < count() ? index * band : count();
    return before / band * ((band + group - 1) / group) + (before % band + group - 1) / group;
  }
  int64_t source_step() const { return band * pitch + gap; }
  int64_t sums_step(int64_t width) const { return group * width + gap; }
  static int64_t panel_step(int64_t channels, int64_t width) { return channels * width + gap; }
  int64_t taps_floats(int64_t outputs) const {
    return kernel * kernel * outputs * ((src.c + slice - 1) / slice * slice);
  }
  int64_t packed_floats() const {
    if (packed_taps) return taps_floats(out_blocks * block);
    return points() * (out_blocks * block * src.c + out_blocks * in_blocks * gap);
  }
  int64_t panel_floats() const {  ///< of a panel that is made
    return prepacked ? 0 : (by_rows ? 2 * side.w : points()) * panel_step(in_block, block);
  }
  int64_t source_floats() const { return points() * source_step(); }
  int64_t thread_floats() const {
    return points() * sums_step(block) + panel_floats() + (by_rows && !packed_taps ? taps_floats(block) : 0) +
           (shared ? 0 : source_floats());
  }
};

/// The weight gradient: `map` tells the tiles (its src is the fine map, its dst the coarse one). A band of tiles of the
/// coarse map and of a group of channels of the fine one is transformed by all threads, then multiplied. Where there
/// are several groups, there is one band, so that no tile is transformed twice; both only where one would take too
/// much. Of few channels and many tiles, every thread transforms and multiplies bands of its own.
struct WinogradWeights {
  Winograd map;
  int fine_operand = 0;                      ///< of Arguments::src; the coarse map is the other
  int64_t slabs = 1;                         ///< of tiles, with sums of their own, where there are few channels
  bool by_points = false;                    ///< a chunk of products is a point; else all points of some channels
  int64_t in_group = 0, in_groups = 0;       ///< fine channels of a group
  int64_t in_block = 0, out_blocks = 0;      ///< fine channels, and parts of the coarse channels, of a chunk
  int64_t fine_pitch = 0, coarse_pitch = 0;  ///< floats from tile to tile

  int64_t fine_step() const { return map.band * fine_pitch + Winograd::gap; }
  int64_t coarse_step() const { return map.band * coarse_pitch + Winograd::gap; }
  /// Of all channels of a group by points, or of a chunk.
  int64_t sums_floats() const {
    const int64_t channels = by_points ? map.dst.c : (map.dst.c + out_blocks - 1) / out_blocks;
    return map.points() * (channels * in_block + Winograd::gap);
  }
  int64_t tiles_floats() const { return map.points() * (fine_step() + coarse_step()); }
  int64_t floats(int64_t threads) const {
    if (slabs > 1) return threads * tiles_floats() + slabs * sums_floats();
    return tiles_floats() + (by_points ? 1 : threads) * sums_floats();
  }
};

/// What an instruction set has.
struct WinogradEntries {
  void (*pack)(const Winograd&, const Arguments&);
  void (*run)(const Winograd&, const Arguments&);
  void (*weights)(const WinogradWeights&, const Arguments&);
};

namespace baseline {
extern const WinogradEntries winograd;
}
#ifdef PIXELWISE_X86
namespace avx2 {
extern const WinogradEntries winograd;
}
namespace avx512 {
extern const WinogradEntries winograd;
}
#endif

static inline const WinogradEntries& winograd_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::winograd;
  if (isa == Isa::avx2) return avx2::winograd;
#endif
  return baseline::winograd;
}

}  // namespace pixelwise
