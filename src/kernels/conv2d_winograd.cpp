// Selection and blocking of the Winograd kernels: a pure function of shapes and instruction set.
#include <algorithm>

#include "core/format.hpp"
#include "kernels/convolution.hpp"
#include "kernels/vector/winograd.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

constexpr int64_t private_bytes = 832 << 10;  // of a thread's transformed tiles and sums: they stay in its L2 cache
constexpr int64_t shared_bytes = 8 << 20;     // of a band that all threads share: it stays in the L3 cache
constexpr int64_t weights_bytes = 24 << 20;   // of the coarse map's tiles, for a weight gradient
constexpr int64_t prepacked_bytes = 16 << 20;

void block_channels(Winograd& w, int64_t lanes) {
  w.block = 2 * lanes;
  w.out_blocks = ceil_div(w.dst.c, w.block);
  w.in_blocks = ceil_div(w.src.c, 512);
  w.in_block = round_up(ceil_div(w.src.c, w.in_blocks), 16);
  w.in_blocks = ceil_div(w.src.c, w.in_block);
  w.prepacked = 4 * w.points() * w.src.c * w.dst.c <= prepacked_bytes;
}

void block_tiles(Winograd& w, int64_t lanes) {
  const int64_t rows = lanes == 16 ? 14 : 6, most = lanes == 16 ? 56 : 48;  // rows: of a register tile
  const int64_t fitting = private_bytes / 4 / w.points() / (w.pitch + w.block) / rows * rows;
  w.shared = !w.prepacked || fitting < 2 * rows;
  if (!w.shared) {
    const int64_t eighth = round_up(ceil_div(w.count(), 8), rows);  // so that there are bands for all threads
    w.band = w.group = std::min({fitting, most, eighth});
    return;
  }
  // Weights that are not there beforehand are made for every band: the more there are, the larger it is.
  const int64_t made = 4 * w.points() * w.src.c * w.dst.c / 8;
  const int64_t bytes = w.prepacked ? shared_bytes : std::clamp(made, 2 * shared_bytes, 8 * shared_bytes);
  const int64_t fit = std::max(rows, bytes / 4 / w.points() / w.pitch / rows * rows);
  w.band = ceil_div(w.count(), ceil_div(w.count(), fit));
  w.group = w.prepacked ? std::min(w.band, most) : w.band;
}

// The width of the kernel that a tile is for.
int64_t taps_of(int64_t tile) { return tile == 2 ? 7 : 3; }
int64_t points(int64_t tile) { return (tile + taps_of(tile) - 1) * (tile + taps_of(tile) - 1); }

// Tiles of a sub-image, along both axes.
Size tiles_of(Size map, Size dilation, int64_t tile) {
  return {ceil_div(ceil_div(map.h, dilation.h), tile), ceil_div(ceil_div(map.w, dilation.w), tile)};
}

// Multiplications of an image, for each pair of a source and a destination channel.
int64_t products(Size map, Size dilation, int64_t tile) {
  const Size tiles = tiles_of(map, dilation, tile);
  return std::min(dilation.h, map.h) * std::min(dilation.w, map.w) * tiles.h * tiles.w * points(tile);
}

// The tiles of a map, and where their source begins.
Winograd tiles_between(const Convolution& conv, const Shape& src, const Shape& dst, int64_t tile) {
  Winograd w;
  w.src = src;
  w.dst = dst;
  w.dilation = conv.dilation;
  w.offset = {-conv.pad.h, -conv.pad.w};
  w.tile = tile, w.kernel = taps_of(tile);
  w.phases = {std::min(conv.dilation.h, dst.h), std::min(conv.dilation.w, dst.w)};
  w.tiles = tiles_of(dst.size(), conv.dilation, tile);
  w.pitch = odd_lines(src.c);
  return w;
}

Winograd plan(const Convolution& conv, const Problem& problem, int64_t tile) {
  const int64_t lanes = lanes_of(problem.isa);
  Winograd w = tiles_between(conv, problem.src[0].shape, problem.dst[0].shape, tile);
  w.transposed_weights = (problem.pass == Pass::forward) == conv.transposed;
  if (w.transposed_weights)
    w.offset = {conv.pad.h - (conv.kernel.h - 1) * conv.dilation.h, conv.pad.w - (conv.kernel.w - 1) * conv.dilation.w};
  block_channels(w, lanes);
  block_tiles(w, lanes);
  return w;
}

WinogradWeights plan_weights(const Convolution& conv, const Problem& problem, int64_t tile) {
  WinogradWeights w;
  w.fine_operand = conv.transposed ? 1 : 0;
  const Shape fine = problem.src[conv.transposed ? 1 : 0].shape, coarse = problem.src[conv.transposed ? 0 : 1].shape;
  w.map = tiles_between(conv, fine, coarse, tile);
  const int64_t all = w.map.count(), lanes = lanes_of(problem.isa), point_bytes = 4 * w.map.points();
  w.in_block = 2 * lanes;
  w.in_blocks = ceil_div(fine.c, w.in_block);
  const auto group = [&](int64_t most) {
    w.out_group = round_up(ceil_div(coarse.c, ceil_div(coarse.c, most)), lanes);
    w.out_groups = ceil_div(coarse.c, w.out_group);
  };
  w.shared = all * point_bytes * odd_lines(coarse.c) <= weights_bytes;
  if (w.shared) {
    group(56);
    w.coarse_pitch = odd_lines(w.out_groups * w.out_group);
    w.slabs = 1;
    w.in_group = std::clamp<int64_t>(shared_bytes / (all * point_bytes * w.in_block), 1, w.in_blocks);
    w.map.band = all;
    return w;
  }
  group(tile == 4 ? 64 : 32);  // the sums take a third of the cache
  w.coarse_pitch = w.out_group;
  w.slabs = std::min({ceil_div(16, w.in_blocks * w.out_groups), all, int64_t{8}});
  w.in_group = 1;
  const int64_t fit = private_bytes / point_bytes - w.out_group * w.in_block;
  w.map.band = std::min(ceil_div(all, w.slabs), std::max<int64_t>(16, fit / (w.in_block + w.out_group)));
  return w;
}

std::string declines(const Convolution& conv, const Problem& problem, int64_t tile) {
  if (problem.precision == Precision::strict) return "precision strict: it rounds differently from a plain sum";
  for (const auto* operands : {&problem.src, &problem.dst, &problem.parameters}) {
    for (const TensorDesc& operand : *operands) {
      if (operand.type != Type::f32) return format("elements of type {}: it is for f32", to_string(operand.type));
    }
  }
  if (conv.groups > 1) return format("{} groups: it is for 1", conv.groups);
  const int64_t taps = taps_of(tile);
  if (conv.kernel != Size{taps, taps}) return format("kernel {}: it is for {}x{}", to_string(conv.kernel), taps, taps);
  if (conv.stride != Size{1, 1}) return format("stride {}: it is for 1", to_string(conv.stride));
  return {};
}

// The map that is cut into tiles.
Size tiled_map(const Convolution& conv, const Problem& problem) {
  if (problem.pass != Pass::backward_weights) return problem.dst[0].shape.size();
  return problem.src[conv.transposed ? 0 : 1].shape.size();
}

Kernel winograd_kernel(const Convolution& conv, const Problem& problem, int64_t tile) {
  Kernel kernel{tile == 2 ? "winograd2" : tile == 4 ? "winograd4" : "winograd6"};
  kernel.declined = declines(conv, problem, tile);
  if (!kernel.declined.empty()) return kernel;
  const WinogradEntries& entries = winograd_entries(problem.isa);
  if (problem.pass == Pass::backward_weights) {
    const WinogradWeights w = plan_weights(conv, problem, tile);
    kernel.scratch_bytes = 4 * w.floats(std::max(1, problem.threads));
    kernel.run = [w, &entries](const Arguments& a) { entries.weights(w, a); };
    return kernel;
  }
  const Winograd w = plan(conv, problem, tile);
  kernel.scratch_bytes = 4 * ((w.shared ? w.source_floats() : 0) + std::max(1, problem.threads) * w.thread_floats());
  if (w.prepacked) {
    kernel.packed_bytes = 4 * w.packed_floats();
    kernel.pack = [w, &entries](const Arguments& a) { entries.pack(w, a); };
  }
  kernel.run = [w, &entries](const Arguments& a) {
    entries.run(w, a);
    take_moments<float>(a);
  };
  return kernel;
}

}  // namespace

// Larger tiles multiply less and transform more; the transforms of 6x6 tiles do not fit the registers of AVX-512.
Candidates winograd_kernels(const Convolution& conv, const Problem& problem) {
  const Size map = tiled_map(conv, problem);
  const bool larger = std::min(conv.fine_channels, conv.coarse_channels) >= 256 &&
                      5 * products(map, conv.dilation, 6) <= 4 * products(map, conv.dilation, 4);
  Candidates all;
  for (const int64_t tile : {int64_t{larger ? 6 : 4}, int64_t{larger ? 4 : 6}, int64_t{2}})
    all.push_back(winograd_kernel(conv, problem, tile));
  return all;
}

bool winograd_pays(const Convolution& conv, const Problem& problem) {
  const Size map = tiled_map(conv, problem);
  const int64_t fewest = conv.kernel.h == 7
                             ? products(map, conv.dilation, 2)
                             : std::min(products(map, conv.dilation, 4), products(map, conv.dilation, 6));
  return std::min(conv.fine_channels, conv.coarse_channels) >= 16 &&
         conv.fine_channels * conv.coarse_channels >= 1024 &&
         2 * fewest <= conv.kernel.h * conv.kernel.w * map.h * map.w;
}

}  // namespace pixelwise
