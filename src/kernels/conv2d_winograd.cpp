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
constexpr int64_t prepacked_bytes = 16 << 20;

void block_channels(Winograd& w, int64_t lanes) {
  w.block = 2 * lanes;
  w.out_blocks = ceil_div(w.dst.c, w.block);
  w.in_blocks = ceil_div(w.src.c, 512);
  w.in_block = round_up(ceil_div(w.src.c, w.in_blocks), 16);
  w.in_blocks = ceil_div(w.src.c, w.in_block);
  const int64_t lines = ceil_div(w.src.c, 16);
  w.pitch = 16 * (lines | 1);  // an odd number of cache lines, against aliasing
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
  const int64_t fit = std::max(rows, (w.prepacked ? 1 : 2) * shared_bytes / 4 / w.points() / w.pitch / rows * rows);
  w.band = ceil_div(w.count(), ceil_div(w.count(), fit));
  w.group = w.prepacked ? std::min(w.band, most) : w.band;
}

int64_t points(int64_t tile) { return (tile + 2) * (tile + 2); }

// Tiles of a sub-image, along both axes.
Size tiles_of(Size map, Size dilation, int64_t tile) {
  return {ceil_div(ceil_div(map.h, dilation.h), tile), ceil_div(ceil_div(map.w, dilation.w), tile)};
}

// Multiplications of an image, for each pair of a source and a destination channel.
int64_t products(Size map, Size dilation, int64_t tile) {
  const Size tiles = tiles_of(map, dilation, tile);
  return std::min(dilation.h, map.h) * std::min(dilation.w, map.w) * tiles.h * tiles.w * points(tile);
}

Winograd plan(const Convolution& conv, const Problem& problem, int64_t tile) {
  const int64_t lanes = problem.isa == Isa::avx512 ? 16 : problem.isa == Isa::avx2 ? 8 : 4;
  Winograd w;
  w.src = problem.src[0].shape;
  w.dst = problem.dst[0].shape;
  w.dilation = conv.dilation;
  w.transposed_weights = (problem.pass == Pass::forward) == conv.transposed;
  w.offset = {-conv.pad.h, -conv.pad.w};
  if (w.transposed_weights) w.offset = {conv.pad.h - 2 * conv.dilation.h, conv.pad.w - 2 * conv.dilation.w};
  w.tile = tile;
  w.phases = {std::min(conv.dilation.h, w.dst.h), std::min(conv.dilation.w, w.dst.w)};
  w.tiles = tiles_of(w.dst.size(), conv.dilation, tile);
  block_channels(w, lanes);
  block_tiles(w, lanes);
  return w;
}

std::string declines(const Convolution& conv, const Problem& problem) {
  if (problem.precision == Precision::strict) return "precision strict: it rounds differently from a plain sum";
  for (const auto* operands : {&problem.src, &problem.dst, &problem.parameters}) {
    for (const TensorDesc& operand : *operands) {
      if (operand.type != Type::f32) return format("elements of type {}: it is for f32", to_string(operand.type));
    }
  }
  if (conv.groups > 1) return format("{} groups: it is for 1", conv.groups);
  if (conv.kernel != Size{3, 3}) return format("kernel {}: it is for 3x3", to_string(conv.kernel));
  if (conv.stride != Size{1, 1}) return format("stride {}: it is for 1", to_string(conv.stride));
  if (problem.pass == Pass::backward_weights) return "it is for the forward pass and the gradient of the source";
  return {};
}

Kernel winograd_kernel(const Convolution& conv, const Problem& problem, int64_t tile) {
  Kernel kernel{tile == 4 ? "winograd4" : "winograd6"};
  kernel.declined = declines(conv, problem);
  if (!kernel.declined.empty()) return kernel;
  const Winograd w = plan(conv, problem, tile);
  const WinogradEntries& entries = winograd_entries(problem.isa);
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

// Larger tiles multiply less and transform more. (Measured with AVX-512; the transforms of 6x6 tiles do not fit its
// registers.)
Candidates winograd_kernels(const Convolution& conv, const Problem& problem) {
  const Shape src = problem.src[0].shape, dst = problem.dst[0].shape;
  const bool larger = std::min(src.c, dst.c) >= 256 &&
                      5 * products(dst.size(), conv.dilation, 6) <= 4 * products(dst.size(), conv.dilation, 4);
  Candidates all{winograd_kernel(conv, problem, 4), winograd_kernel(conv, problem, 6)};
  if (larger) std::swap(all[0], all[1]);
  return all;
}

bool winograd_pays(const Convolution& conv, const Problem& problem) {
  const Shape src = problem.src[0].shape, dst = problem.dst[0].shape;
  const int64_t least = std::min(products(dst.size(), conv.dilation, 4), products(dst.size(), conv.dilation, 6));
  return std::min(src.c, dst.c) >= 32 && 2 * least <= 9 * dst.h * dst.w;
}

}  // namespace pixelwise
