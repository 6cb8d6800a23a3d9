// Selection and blocking of the Winograd kernels: a pure function of shapes and instruction set.
#include <algorithm>

#include "core/format.hpp"
#include "kernels/convolution.hpp"
#include "kernels/vector/winograd.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

constexpr int64_t private_bytes = 1 << 20;   // of a thread's transformed tiles and sums: most stay in its L2 cache
constexpr int64_t kept_bytes = 832 << 10;    // of its sums, beside what else passes through that cache
constexpr int64_t shared_bytes = 8 << 20;    // of a band that all threads share: it stays in the L3 cache
constexpr int64_t made_bytes = 640 << 10;    // of a panel of weights that is made as needed
constexpr int64_t weights_bytes = 40 << 20;  // of tiles, for a weight gradient of many channels
constexpr int64_t prepacked_bytes = 16 << 20;
constexpr int64_t most_summed = 256;          // source channels: longer sums of 64 points would be rounded too much
constexpr int64_t slab_bytes = 3 << 20;       // of a band of a slab of tiles
constexpr int64_t slab_sums_bytes = 5 << 20;  // of its sums
constexpr int64_t slab_tiles = 48;            // of a slab, at least
constexpr int64_t most_slabs = 8;
constexpr int64_t few_tiles = 160;  // of a weight gradient: fewer pay for one pass over its sums, not for two

// Many weights are transformed as they are needed, a panel at a time, which is still in the L2 cache when it is used:
// of 3x3 ones those for some rows of points, of 7x7 ones those of some source channels. Then the sums of all tiles must
// stay there too, from one block of source channels to the next; where they do not, there is one block. With many
// points, long sums would be rounded too much. Where the parameters are fixed, they are transformed once, unless that
// multiplies them: then they are read from memory no faster than they are transformed, and only put in order once.
void block_channels(Winograd& w, bool fixed, int64_t lanes) {
  w.block = 2 * lanes;
  w.out_blocks = ceil_div(w.dst.c, w.block);
  w.prepacked =
      4 * w.points() * w.src.c * w.dst.c <= prepacked_bytes || (fixed && w.points() <= 2 * w.kernel * w.kernel);
  const int64_t column = 4 * w.points() * w.block;  // bytes of a source channel of a panel, and of a tile's sums
  const int64_t fitting = std::max<int64_t>(16, made_bytes / column / 16 * 16), most = w.points() > 64 ? 64 : 512;
  w.by_rows = !w.prepacked && w.kernel == 3;
  w.packed_taps = w.by_rows && fixed;
  w.summed = round_up(ceil_div(w.src.c, ceil_div(w.src.c, most_summed)), 16);
  const bool kept = !w.prepacked && !w.by_rows && w.count() * column <= kept_bytes;
  w.in_blocks = ceil_div(w.src.c, kept ? std::min(fitting, most) : most);
  w.in_block = round_up(ceil_div(w.src.c, w.in_blocks), 16);
  w.in_blocks = ceil_div(w.src.c, w.in_block);
}

int64_t tile_rows_of(int64_t lanes) { return lanes == 16 ? 14 : 6; }  // of a register tile

void block_tiles(Winograd& w, int64_t lanes) {
  const int64_t rows = tile_rows_of(lanes), most = lanes == 16 ? 56 : 48;
  const int64_t fitting = private_bytes / 4 / w.points() / (w.pitch + w.block) / rows * rows;
  w.shared = !w.prepacked || fitting < rows;
  if (!w.shared) {
    const int64_t eighth = round_up(ceil_div(w.count(), 8), rows);  // so that there are bands for all threads
    w.band = w.group = std::min({fitting, most, eighth});
    return;
  }
  // Weights that are not there beforehand are made for every band: it is larger than they are.
  const int64_t made = 8 * w.points() * w.src.c * w.dst.c;
  const int64_t bytes = w.prepacked ? shared_bytes : std::clamp(made, 2 * shared_bytes, 16 * shared_bytes);
  const int64_t fit = std::max(rows, bytes / 4 / w.points() / w.pitch / rows * rows);
  w.band = ceil_div(w.count(), ceil_div(w.count(), fit));
  w.group = w.prepacked ? std::min(w.band, most) : w.band;
}

// An algorithm of vector/winograd_transform.hpp: a tile of so many pixels, for a kernel of so many taps along an axis,
// by so many multiplications.
struct Algorithm {
  const char* name;
  Size tile;
  int64_t taps;
  Size side;
};
constexpr Algorithm f47{"winograd4x2", {4, 2}, 7, {10, 8}}, tall{"winograd4x3", {4, 3}, 7, {10, 9}},
    wide{"winograd3x4", {3, 4}, 7, {9, 10}}, f33{"winograd3", {3, 3}, 3, {5, 5}}, f43{"winograd4", {4, 4}, 3, {6, 6}},
    f63{"winograd6", {6, 6}, 3, {8, 8}}, pairs{"winograd_pairs", {2, 2}, 3, {3, 3}};

// Tiles of a sub-image, along both axes.
Size tiles_of(Size map, Size dilation, const Algorithm& f) {
  return {ceil_div(ceil_div(map.h, dilation.h), f.tile.h), ceil_div(ceil_div(map.w, dilation.w), f.tile.w)};
}

// Multiplications of an image, for each pair of a source and a destination channel.
int64_t products(Size map, Size dilation, const Algorithm& f) {
  const Size tiles = tiles_of(map, dilation, f);
  return std::min(dilation.h, map.h) * std::min(dilation.w, map.w) * tiles.h * tiles.w * f.side.h * f.side.w;
}

bool is_pairs(const Algorithm& f) { return f.side == pairs.side; }
bool has_most_points(const Algorithm& f) { return f.side == tall.side || f.side == wide.side; }

// The tiles of a map, and where their source begins: a pair with its own first pixel, the others with their border.
Winograd tiles_between(const Convolution& conv, const Shape& src, const Shape& dst, const Algorithm& f) {
  Winograd w;
  w.src = src;
  w.dst = dst;
  w.dilation = conv.dilation;
  w.offset = is_pairs(f) ? Size{0, 0} : Size{-conv.pad.h, -conv.pad.w};
  w.tile = f.tile, w.kernel = f.taps, w.side = f.side;
  w.phases = {std::min(conv.dilation.h, dst.h), std::min(conv.dilation.w, dst.w)};
  w.tiles = tiles_of(dst.size(), conv.dilation, f);
  w.pitch = src.c <= 256 ? round_up(src.c, 16) : odd_lines(src.c);  // with more, lines of a tile would meet in a set
  return w;
}

Winograd plan(const Convolution& conv, const Problem& problem, const Algorithm& f) {
  const int64_t lanes = lanes_of(problem.isa);
  Winograd w = tiles_between(conv, problem.src[0].shape, problem.dst[0].shape, f);
  w.transposed_weights = (problem.pass == Pass::forward) == conv.transposed;
  if (w.transposed_weights && !is_pairs(f))
    w.offset = {conv.pad.h - (conv.kernel.h - 1) * conv.dilation.h, conv.pad.w - (conv.kernel.w - 1) * conv.dilation.w};
  w.pooled = pools(problem);
  block_channels(w, problem.fixed_parameters, lanes);
  block_tiles(w, lanes);
  return w;
}

WinogradWeights plan_weights(const Convolution& conv, const Problem& problem, const Algorithm& f) {
  WinogradWeights w;
  w.fine_operand = conv.transposed ? 1 : 0;
  const Shape fine = problem.src[conv.transposed ? 1 : 0].shape, coarse = problem.src[conv.transposed ? 0 : 1].shape;
  w.map = tiles_between(conv, fine, coarse, f);
  const int64_t all = w.map.count(), lanes = lanes_of(problem.isa), point_bytes = 4 * w.map.points();
  w.coarse_pitch = odd_lines(coarse.c);
  const bool coarse_fits = point_bytes * all * w.coarse_pitch <= weights_bytes;
  const int64_t sums_bytes = point_bytes * coarse.c * fine.c, fine_bytes = point_bytes * all * fine.c;
  w.by_points = all > few_tiles || sums_bytes <= shared_bytes;
  w.in_groups = w.by_points ? ceil_div(sums_bytes, coarse_fits ? shared_bytes : 2 * weights_bytes)
                            : ceil_div(fine_bytes, shared_bytes);
  w.in_group = round_up(ceil_div(fine.c, w.in_groups), 2 * lanes);
  w.in_groups = ceil_div(fine.c, w.in_group);
  w.fine_pitch = odd_lines(std::min(fine.c, w.in_group));
  w.map.band = all;
  if (sums_bytes <= slab_sums_bytes && all >= most_slabs * slab_tiles) {
    w.slabs = most_slabs;
    const int64_t longest = ceil_div(all, w.slabs), bytes = point_bytes * (w.fine_pitch + w.coarse_pitch);
    w.map.band = ceil_div(longest, ceil_div(longest * bytes, slab_bytes));
    w.in_block = w.fine_pitch;
    w.out_blocks = 1;
    return w;
  }
  if (!w.by_points) {
    const int64_t rows = tile_rows_of(lanes);
    w.in_block = 2 * lanes;
    w.out_blocks = ceil_div(coarse.c, kept_bytes / 2 / point_bytes / w.in_block / rows * rows);
    return w;
  }
  if (w.in_groups == 1 || !coarse_fits) {
    const int64_t most = std::clamp(sums_bytes, shared_bytes, weights_bytes);
    w.map.band = ceil_div(all, ceil_div(all * point_bytes * (w.fine_pitch + w.coarse_pitch), most));
  }
  w.in_block = w.fine_pitch;
  // For every thread some chunks, of enough channels to be worth reading a point's tiles.
  w.out_blocks = std::max(ceil_div(coarse.c, 128), std::min(ceil_div(64, w.map.points()), ceil_div(coarse.c, 32)));
  return w;
}

// The map that is cut into tiles.
Size tiled_map(const Convolution& conv, const Problem& problem) {
  if (problem.pass != Pass::backward_weights) return problem.dst[0].shape.size();
  return problem.src[conv.transposed ? 0 : 1].shape.size();
}

// A window that is pooled has to lie within a tile.
bool cuts_windows(const Convolution& conv, const Algorithm& f) {
  return f.tile.h % 2 != 0 || f.tile.w % 2 != 0 || conv.dilation != Size{1, 1};
}

std::string declines(const Convolution& conv, const Problem& problem, const Algorithm& f) {
  if (problem.precision == Precision::strict) return "precision strict: it rounds differently from a plain sum";
  if (const std::string types = declines_types(problem); !types.empty()) return types;
  if (pools(problem) && cuts_windows(conv, f)) return declines_pooling;
  if (conv.groups > 1) return format("{} groups: it is for 1", conv.groups);
  if (conv.kernel != Size{f.taps, f.taps})
    return format("kernel {}: it is for {}x{}", to_string(conv.kernel), f.taps, f.taps);
  if (conv.stride != Size{1, 1}) return format("stride {}: it is for 1", to_string(conv.stride));
  if (has_most_points(f) && problem.pass == Pass::backward_weights)
    return "the weight gradient: with so many points its sums over tiles would be rounded too much";
  const Size map = tiled_map(conv, problem);
  if (has_most_points(f) && std::min(map.h, map.w) < 12)
    return format("a map of {}: it is for 12x12 and more; of fewer pixels the largest may be small beside its error",
                  to_string(map));
  if (is_pairs(f) && (conv.pad != conv.dilation || tiles_of(map, conv.dilation, f) != Size{1, 1}))
    return format("rate {}, padding {}: it is for equal ones of half the map or more", to_string(conv.dilation),
                  to_string(conv.pad));
  return {};
}

Kernel winograd_kernel(const Convolution& conv, const Problem& problem, const Algorithm& f) {
  Kernel kernel{f.name};
  kernel.declined = declines(conv, problem, f);
  if (!kernel.declined.empty()) return kernel;
  const WinogradEntries& entries = winograd_entries(problem.isa);
  if (problem.pass == Pass::backward_weights) {
    const WinogradWeights w = plan_weights(conv, problem, f);
    kernel.scratch_bytes = 4 * w.floats(std::max(1, problem.threads));
    kernel.run = [w, &entries](const Arguments& a) { entries.weights(w, a); };
    return kernel;
  }
  Winograd w = plan(conv, problem, f);
  kernel.scratch_bytes = 4 * ((w.shared ? w.source_floats() : 0) + std::max(1, problem.threads) * w.thread_floats());
  w.moments = plan_moments(kernel, problem, w.groups_before(w.bands()));
  if (w.prepacked || w.packed_taps) {
    kernel.packed_bytes = 4 * w.packed_floats();
    kernel.pack = [w, &entries](const Arguments& a) { entries.pack(w, a); };
  }
  kernel.run = [w, &entries](const Arguments& a) { entries.run(w, a); };
  return kernel;
}

// Pixels of an axis times the taps that they see, without those in the border.
int64_t live_taps(int64_t map, int64_t kernel, int64_t pad, int64_t dilation) {
  int64_t all = 0;
  for (int64_t k = 0; k < kernel; ++k) all += std::max<int64_t>(0, map - std::abs(k * dilation - pad));
  return all;
}

// The algorithm that multiplies least, where that outweighs what larger tiles transform more.
Algorithm best_algorithm(const Convolution& conv, const Problem& problem) {
  const Size map = tiled_map(conv, problem);
  if (conv.kernel.h == 7) {
    Algorithm best = f47;
    for (const Algorithm& f : {wide, tall}) {
      if (declines(conv, problem, f).empty() && products(map, conv.dilation, f) <= products(map, conv.dilation, best))
        best = f;
    }
    return best;
  }
  Algorithm best = 6 * products(map, conv.dilation, f63) <= 5 * products(map, conv.dilation, f43) ? f63 : f43;
  for (const Algorithm& f : {f33, pairs}) {
    if (declines(conv, problem, f).empty() &&
        5 * products(map, conv.dilation, f) <= 4 * products(map, conv.dilation, best))
      best = f;
  }
  return best;
}

}  // namespace

Candidates winograd_kernels(const Convolution& conv, const Problem& problem) {
  const Algorithm best = best_algorithm(conv, problem);
  Candidates all{winograd_kernel(conv, problem, best)};
  for (const Algorithm& f : {f43, f63, f33, pairs, f47, tall, wide}) {
    if (std::string(f.name) != best.name) all.push_back(winograd_kernel(conv, problem, f));
  }
  return all;
}

bool winograd_pays(const Convolution& conv, const Problem& problem) {
  const Size map = tiled_map(conv, problem);
  const int64_t fewest = products(map, conv.dilation, best_algorithm(conv, problem));
  const int64_t live = live_taps(map.h, conv.kernel.h, conv.pad.h, conv.dilation.h) *
                       live_taps(map.w, conv.kernel.w, conv.pad.w, conv.dilation.w);
  return std::min(conv.fine_channels, conv.coarse_channels) >= 16 &&
         conv.fine_channels * conv.coarse_channels >= 1024 &&
         2 * fewest <= conv.kernel.h * conv.kernel.w * map.h * map.w && 5 * fewest <= 4 * live;
}

}  // namespace pixelwise
