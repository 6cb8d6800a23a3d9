// The weight gradient on tiles: sums over pixels, 32 in a row at a time. Tiles of the fine map have a channel in each
// row (AmxCorrelation), so that a tap is an offset in it; tiles of the coarse map have two pixels in each row.
#pragma once
#include "kernels/vector/amx_plan.hpp"
#include "kernels/vector/conv_outer.hpp"
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/tile_product.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// What one chunk owns: rows [k0, k1) of the kernel, fine channels [i0, i0 + fines), coarse channels [o0, o0 +
/// coarses), and their sums: [tap][32 fine channels][32 coarse channels][32 x 32, or 16 where there are no more].
struct WeightsChunk {
  int64_t k0, k1, i0, fines, o0, coarses;
  float* sums;
  bf16 *fine, *coarse;
  int64_t fine_blocks() const { return (fines + 31) / 32; }
  int64_t coarse_tiles() const { return (coarses + tile_edge - 1) / tile_edge; }
  int64_t coarse_blocks() const { return (coarses + 31) / 32; }
  float* sums_of(int64_t tap, int64_t fine_block, int64_t coarse_block) const {
    return sums + ((tap * fine_blocks() + fine_block) * coarse_blocks() + coarse_block) * 1024;
  }
};

/// Coarse rows [j0, j1) of a class of image n; the fine row that the first meets with the chunk's first tap.
struct WeightsBand {
  int64_t n, row_class, j0, j1, top;
};

/// Where a tap column stands: in which plane, and how many columns beside the coarse pixel.
struct TapColumn {
  int64_t phase, shift;
};
inline TapColumn tap_column(const AmxCorrelation& c, int64_t kx) {
  if (c.kernel.w == 1) return {0, 0};  // only what it meets is packed
  const int64_t x = kx * c.dilation.w - c.pad.w, phase = (x % c.stride.w + c.stride.w) % c.stride.w;
  return {phase, (x - phase) / c.stride.w};
}
/// Does it meet the map anywhere?
inline bool meets(const AmxCorrelation& c, int64_t kx) {
  const int64_t x = kx * c.dilation.w - c.pad.w;
  return x + (c.coarse.w - 1) * c.stride.w >= 0 && x < c.fine.w;
}
inline bool meets_row(const AmxCorrelation& c, const WeightsBand& band, int64_t tap) {
  const int64_t first = band.top + tap * c.classes.step,
                last = first + (band.j1 - band.j0 - 1) * c.classes.stride * c.classes.step;
  return last >= 0 && first < c.fine.h;
}

/// 16 columns from x on (their pixels are `step` floats apart) of all channels of the chunk, transposed. All channels
/// of a pixel are read in a line.
inline void pack_columns(const AmxCorrelation& c, const Source& s, const WeightsChunk& chunk, const float* pixels,
                         int64_t step, int64_t columns, bf16* to) {
  for (int64_t i = 0; i < chunk.fines; i += lanes, to += lanes * c.channel) {
    const int64_t channels = least(lanes, chunk.fines - i);
    vfloat v[lanes];
#pragma GCC unroll 16
    for (int k = 0; k < lanes; ++k)
      v[k] = k < columns ? load_source(s, pixels + k * step, chunk.i0 + i, channels) : zero();
    transpose(v);
    for (int64_t k = 0; k < channels; ++k) {
      bf16* at = to + k * c.channel;
      store_split(at, at + c.column_phases * c.plane, v[k]);
    }
  }
}

/// One plane of all channels of the chunk.
inline void pack_plane(const AmxCorrelation& c, const Source& s, const WeightsChunk& chunk, const WeightsBand& band,
                       int64_t phase) {
  bf16* to = chunk.fine + phase * c.plane;
  const auto clear = [&](int64_t first, int64_t last) {
    for (int64_t k = 0; k < chunk.fines; ++k) {
      std::memset(to + k * c.channel + first, 0, static_cast<size_t>(last - first) * sizeof(bf16));
      std::memset(to + k * c.channel + c.column_phases * c.plane + first, 0,
                  static_cast<size_t>(last - first) * sizeof(bf16));
    }
  };
  const int64_t x0 = c.kernel.w == 1 ? -c.pad.w : phase;
  const Span columns = inside(0, c.pitch, c.stride.w, x0, c.fine.w);
  const int64_t step = c.stride.w * s.view.pixel_stride, end = c.lead + c.classes.phases * c.phase_rows * c.pitch;
  clear(0, c.lead);
  for (int64_t r = 0; r < c.classes.phases * c.phase_rows; ++r) {
    const int64_t at = c.lead + r * c.pitch, u = r % c.phase_rows * c.classes.stride + r / c.phase_rows;
    const int64_t y = band.top + u * c.classes.step;
    const bool outside = y < 0 || y >= c.fine.h || columns.first >= columns.last;
    clear(at, at + (outside ? c.pitch : columns.first));
    if (outside) continue;
    const float* row = s.view.at<float>(band.n, y, x0 + columns.first * c.stride.w);
    for (int64_t x = columns.first; x < columns.last; x += lanes, row += lanes * step)
      pack_columns(c, s, chunk, row, step, columns.last - x, to + at + x);
    // A last vector may have passed the end of the row: with zeros, which stand there anyway or are written next.
    clear(at + columns.last, at + c.pitch);
  }
  clear(end, c.plane);
}

inline void pack_fine(const AmxCorrelation& c, const Source& s, const WeightsChunk& chunk, const WeightsBand& band) {
  for (int64_t phase = 0; phase < c.column_phases; ++phase) {
    bool met = false;
    for (int64_t kx = 0; kx < c.kernel.w; ++kx) met |= meets(c, kx) && tap_column(c, kx).phase == phase;
    if (met) pack_plane(c, s, chunk, band, phase);
  }
}

/// The coarse rows as right matrices: [32 pixels][tile of 16 channels][high, low]; 0 between the rows.
inline void pack_coarse(const AmxCorrelation& c, const Source& s, const WeightsChunk& chunk, const WeightsBand& band,
                        int64_t pixels) {
  const int64_t tiles = chunk.coarse_tiles();
  const auto pixel = [&](int64_t p) -> const float* {
    const int64_t j = band.j0 + p / c.pitch, q = p % c.pitch;
    return j < band.j1 && q < c.coarse.w ? s.view.at<float>(band.n, band.row_class + j * c.classes.classes, q)
                                         : nullptr;
  };
  const auto parts = [&](const float* p, int64_t o) {
    const int64_t left = chunk.coarses - o;
    return split(p && left > 0 ? load_source(s, p, chunk.o0 + o, left) : zero());
  };
  for (int64_t p = 0; p < pixels; p += 2) {
    const float *even = pixel(p), *odd = pixel(p + 1);
    bf16* to = chunk.coarse + p / tile_depth * tiles * right_size + p % tile_depth * tile_edge;
    for (int64_t o = 0; o < tiles * tile_edge; o += lanes) {
      const Split e = parts(even, o), d = parts(odd, o);
      bf16* at = to + o / tile_edge * right_size + o % tile_edge * 2;
      store_pairs(at, e.high, d.high);
      store_pairs(at + tile_size, e.low, d.low);
    }
  }
}

/// The sums of one block of fine and one of coarse channels: M x V tiles. All taps take `span` pixels in turn, which
/// stay in the L1 cache.
template <int M, int V, class Tiles>
void add_pixels(Tiles& tiles, const AmxCorrelation& c, const WeightsChunk& chunk, const WeightsBand& band,
                int64_t pixels, int64_t fine_block, int64_t coarse_block) {
  TileProduct<M, V, Tiles> product(tiles);
  const int64_t half = c.column_phases * c.plane, step = chunk.coarse_tiles() * right_size;
  const int64_t channel = c.channel;
  for (int64_t p0 = 0; p0 < pixels; p0 += c.span) {
    for (int64_t tap = 0; tap < (chunk.k1 - chunk.k0) * c.kernel.w; ++tap) {
      const int64_t ty = tap / c.kernel.w, kx = tap % c.kernel.w;
      if (!meets(c, kx) || !meets_row(c, band, ty)) continue;
      const TapColumn column = tap_column(c, kx);
      const int64_t row = ty % c.classes.stride * c.phase_rows + ty / c.classes.stride;
      const bf16* x =
          chunk.fine + fine_block * 32 * c.channel + column.phase * c.plane + c.lead + row * c.pitch + column.shift;
      const bf16* w = chunk.coarse + 2 * coarse_block * right_size;
      float* sums = chunk.sums_of(tap, fine_block, coarse_block);
      product.load(sums);
      for (int64_t p = p0, end = least(p0 + c.span, pixels); p < end; p += tile_depth)
        product.add({x + p, channel, half}, w + p / tile_depth * step);
      product.store(sums);
    }
  }
}

/// The sums of a chunk go to dst, transposed: [coarse channel][tap][fine channel].
inline void leave_weights(const AmxCorrelation& c, const Destination& dst, const WeightsChunk& chunk) {
  for (int64_t tap = 0; tap < (chunk.k1 - chunk.k0) * c.kernel.w; ++tap) {
    for (int64_t i = 0; i < chunk.fines; i += lanes) {
      for (int64_t o = 0; o < chunk.coarses; o += lanes) {
        const int64_t width = chunk.coarses - o / 32 * 32 <= tile_edge ? tile_edge : 2 * tile_edge;
        const float* sums = chunk.sums_of(tap, i / 32, o / 32) + i % 32 * width + o % 32;
        vfloat v[lanes];
#pragma GCC unroll 16
        for (int k = 0; k < lanes; ++k) v[k] = load(sums + k * width);
        transpose(v);
        for (int64_t k = 0; k < least(lanes, chunk.coarses - o); ++k)
          put_some(dst.view.at<float>(chunk.o0 + o + k, chunk.k0 + tap / c.kernel.w, tap % c.kernel.w) + chunk.i0 + i,
                   v[k], chunk.fines - i, dst.mode);
      }
    }
  }
}

template <class Tiles>
void run_weights(const AmxCorrelation& c, const Arguments& a, const WeightsChunk& chunk, int64_t slab) {
  const Source &fine = a.src[static_cast<size_t>(c.fine_operand)],
               &coarse = a.src[static_cast<size_t>(1 - c.fine_operand)];
  Tiles tiles;
  std::memset(chunk.sums, 0, static_cast<size_t>(c.sums) * sizeof(float));
  const int64_t each = c.classes.classes * c.bands, all = c.coarse.n * each;
  for (int64_t i = part(all, slab, c.slabs); i < part(all, slab + 1, c.slabs); ++i) {
    const int64_t row_class = i % each / c.bands, j0 = i % c.bands * c.rows;
    const int64_t rows = (c.coarse.h - row_class + c.classes.classes - 1) / c.classes.classes;
    const WeightsBand band{
        i / each, row_class, j0, least(j0 + c.rows, rows),
        row_class * c.stride.h + chunk.k0 * c.dilation.h - c.pad.h + j0 * c.classes.stride * c.classes.step};
    if (band.j0 >= band.j1) continue;
    const int64_t pixels = (band.j1 - band.j0) * c.pitch, whole = (pixels + tile_depth - 1) / tile_depth * tile_depth;
    pack_fine(c, fine, chunk, band);
    pack_coarse(c, coarse, chunk, band, whole);
    for (int64_t o = 0; o < chunk.coarse_blocks(); ++o) {
      for (int64_t f = 0; f < chunk.fine_blocks(); ++f) {
        with_tiles(chunk.fines - 32 * f > tile_edge ? 2 : 1, chunk.coarses - 32 * o > tile_edge ? 2 : 1,
                   [&]<int M, int V>() { add_pixels<M, V>(tiles, c, chunk, band, whole, f, o); });
      }
    }
  }
}

template <class Tiles>
void amx_correlate(const AmxCorrelation& c, const Arguments& a) {
  float* slabs = reinterpret_cast<float*>(a.scratch);
  std::byte* threads = a.scratch + (c.slabs > 1 ? (c.slabs * c.weights() * 4 + 63) / 64 * 64 : 0);
  parallel_for(c.slabs * c.out_groups * c.in_groups * c.tap_groups, [&](int64_t index, int thread) {
    const int64_t slab = index % c.slabs, rest = index / c.slabs;
    const int64_t out = rest % c.out_groups, in = rest / c.out_groups % c.in_groups,
                  taps = rest / c.out_groups / c.in_groups;
    WeightsChunk chunk{};
    chunk.k0 = taps * c.tap_rows, chunk.k1 = least(chunk.k0 + c.tap_rows, c.kernel.h);
    chunk.i0 = in * c.in_group, chunk.fines = least(c.in_group, c.fine.c - chunk.i0);
    chunk.o0 = out * c.out_group, chunk.coarses = least(c.out_group, c.coarse.c - chunk.o0);
    chunk.sums = reinterpret_cast<float*>(threads + thread * c.thread_bytes());
    chunk.fine = reinterpret_cast<bf16*>(chunk.sums + c.sums);
    chunk.coarse = chunk.fine + c.fine_size;
    run_weights<Tiles>(c, a, chunk, slab);
    Destination dst = a.dst[0];
    if (c.slabs > 1) dst = {dense_view(slabs + slab * c.weights(), Type::f32, dst.view.shape), Mode::write};
    leave_weights(c, dst, chunk);
  });
  if (c.slabs > 1) add_slabs(a.dst[0], slabs, c.slabs);
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
