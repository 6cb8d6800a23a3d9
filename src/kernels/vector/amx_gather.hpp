// Convolution, or its data gradient, on tiles: the matrix product of implicit_gemm.cpp with other tiles. A strip of
// rows is split into high and low parts while it is packed, once for all destination channels; the layout (AmxGather)
// makes every tap a constant offset.
#pragma once
#include "kernels/vector/amx_plan.hpp"
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/tile_product.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// Destination rows [j0, j1) of a class of row phase h; its first source row, and the packed source.
struct Strip {
  int64_t n, row_class, j0, j1, top;
  const bf16* packed;
};

/// Source channels [c0, c0 + channels), and the index of the first block of 32 of them.
struct Channels {
  int64_t c0, channels, first_block;
  int64_t blocks() const { return (channels + tile_depth - 1) / tile_depth; }
};

inline Channels channels_of(const AmxGather& g, int64_t i) {
  const int64_t c0 = i * g.in_block;
  return {c0, least(g.in_block, g.src.c - c0), c0 / tile_depth};
}

/// A block of destination channels: one tile wide where that is enough.
struct TileBlock {
  int64_t o0, width;
};
inline TileBlock tile_block(const AmxGather& g, int64_t i) {
  const int64_t o0 = i * g.out_block;
  return {o0, g.dst.c - o0 <= tile_edge ? tile_edge : g.out_block};
}

/// Elements of the weights of a block for one product.
inline int64_t step_size(const TileBlock& block) { return block.width / tile_edge * right_size; }

/// Weights of source channels [c, c + channels) (32 at most) and of a tap for a product: `tap` is that of the block's
/// first destination channel, `stride` the floats to the next one. Channels lie in a line and are pairs in the tile, so
/// that a tile is the transpose of 16 lines of 16 pairs. The lines are far apart: those of the next channels are asked
/// for here.
inline void pack_taps(const float* tap, int64_t stride, int64_t count, int64_t channels, const TileBlock& block,
                      bf16* to) {
  alignas(64) bf16 lines[2][tile_edge][tile_depth];
  for (int64_t o0 = 0; o0 < block.width; o0 += tile_edge, to += right_size) {
    for (int64_t o = 0; o < tile_edge; ++o) {
      const float* line = tap + (o0 + o) * stride;
      const bool none = o0 + o >= count;
      for (int64_t c = 0; c < tile_depth; c += lanes) {
        const int64_t left = none ? 0 : channels - c;
        if (!none) __builtin_prefetch(line + c + 2 * tile_depth);
        store_split(lines[0][o] + c, lines[1][o] + c, left > 0 ? load_some(line + c, left) : zero());
      }
    }
    for (int part = 0; part < 2; ++part) {
      for (int64_t k = 0; k < tile_edge; k += lanes) {
        for (int64_t n = 0; n < tile_edge; n += lanes) {
          vfloat pairs[lanes];
          for (int i = 0; i < lanes; ++i) pairs[i] = load(reinterpret_cast<const float*>(lines[part][n + i]) + k);
          transpose(pairs);
          float* tile = reinterpret_cast<float*>(to + part * tile_size);
          for (int i = 0; i < lanes; ++i) store(tile + (k + i) * tile_edge + n, pairs[i]);
        }
      }
    }
  }
}

/// The same of transposed weights: destination channels lie in a line.
inline void pack_transposed_taps(const float* tap, int64_t stride, int64_t count, int64_t channels,
                                 const TileBlock& block, bf16* to) {
  alignas(64) float rows[tile_depth * AmxGather::out_block];
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t o = 0; o < block.width; o += tile_edge) __builtin_prefetch(tap + (c + tile_depth) * stride + o);
  }
  copy_outputs(tap, stride, count, channels, block.width, rows);
  std::memset(rows + channels * block.width, 0, static_cast<size_t>((tile_depth - channels) * block.width) * 4);
  pack_right(rows, block.width, to);
}

/// The taps of a kernel's row where those are joined: up to 32 rows of a product from `first` on are (tap, channel).
inline void pack_joined_taps(const AmxGather& g, const View& w, int64_t ky, const AxisPhase& v, int64_t first,
                             const TileBlock& block, bf16* to) {
  alignas(64) float rows[tile_depth * AmxGather::out_block] = {};
  const int64_t count = least(block.width, g.dst.c - block.o0), stride = w.image_stride;
  const int64_t length = least(tile_depth, v.taps * g.src.c - first);
  for (int64_t k = 0, some = 0; k < length; k += some) {
    const int64_t tx = (first + k) / g.src.c, c = (first + k) % g.src.c;
    some = least(length - k, g.src.c - c);
    const float* tap = w.at<float>(0, ky, v.first_tap + tx * v.tap_step);
    if (g.transposed_weights)
      copy_outputs(tap + c * stride + block.o0, stride, count, some, block.width, rows + k * block.width);
    else
      pack_outputs(tap + block.o0 * stride + c, stride, count, some, block.width, rows + k * block.width);
  }
  pack_right(rows, block.width, to);
}

/// The weights of one row phase and one column phase: [channel block][tap row][column][tile][high, low], 0 in channels
/// past the last.
inline void pack_panel(const AmxGather& g, const View& w, const AxisPhase& h, const AxisPhase& v,
                       const TileBlock& block, const Channels& channels, bf16* to) {
  const int64_t count = least(block.width, g.dst.c - block.o0), columns = g.columns_of(v), stride = w.image_stride;
  for (int64_t ty = 0; ty < h.taps; ++ty) {
    const int64_t ky = h.first_tap + ty * h.tap_step;
    for (int64_t column = 0; column < columns; ++column) {
      for (int64_t b = 0; b < channels.blocks(); ++b) {  // innermost: so the weights are read in the order they lie in
        bf16* at = to + ((b * h.taps + ty) * columns + column) * step_size(block);
        if (g.joined) {
          pack_joined_taps(g, w, ky, v, column * tile_depth, block, at);
          continue;
        }
        const float* tap = w.at<float>(0, ky, v.first_tap + column * v.tap_step);
        const int64_t c = channels.c0 + b * tile_depth, some = least(tile_depth, g.src.c - c);
        if (g.transposed_weights)
          pack_transposed_taps(tap + c * stride + block.o0, stride, count, some, block, at);
        else
          pack_taps(tap + block.o0 * stride + c, stride, count, some, block, at);
      }
    }
  }
}

/// Where a panel stands in `packed`: per block, per block of channels, per phase; `steps` are those of the phases
/// before.
inline int64_t panel_offset(const AmxGather& g, const TileBlock& block, const Channels& channels, int64_t steps) {
  return block.o0 / tile_edge * right_size * g.steps * g.channel_blocks() +
         step_size(block) * (g.steps * channels.first_block + steps * channels.blocks());
}

/// Products of depth 32 before those of row phase i and column phase j, for each 32 channels.
inline int64_t steps_before(const AmxGather& g, int64_t i, int64_t j) {
  int64_t rows = 0, row_columns = 0, columns = 0;
  for (int64_t k = 0; k < i; ++k) rows += g.h.phase[k].taps;
  for (int64_t k = 0; k < g.w.phases; ++k) {
    if (k == j) columns = row_columns;
    row_columns += g.columns_of(g.w.phase[k]);
  }
  return rows * row_columns + g.h.phase[i].taps * columns;
}

/// One pixel's channels, as the Source gives them, as [32 high][32 low] for each 32; 0 past the last.
inline void pack_blocks(const AmxGather& g, const Source& s, const float* from, const Channels& channels, bf16* to) {
  for (int64_t c = 0; c < channels.blocks() * tile_depth; c += lanes) {
    const int64_t left = channels.channels - c;
    bf16* at = to + c / tile_depth * g.plane + c % tile_depth;
    store_split(at, at + g.low, left > 0 ? load_source(s, from, channels.c0 + c, left) : zero());
  }
}
/// The same of few channels, without a gap to the next pixel.
inline void pack_narrow(const AmxGather& g, const Source& s, const float* from, bf16* to) {
  for (int64_t c = 0; c < g.src.c; c += lanes) {
    const Split parts = split(load_source(s, from, c, g.src.c - c));
    store_some_bf16(to + c, parts.high, g.src.c - c);
    store_some_bf16(to + g.low + c, parts.low, g.src.c - c);
  }
}

/// Packed pixels [first, last) are 0. (Joined, a tile also reads what follows the taps of a row, and multiplies it by
/// weights that are 0: it must be a number.)
inline void clear_pixels(const AmxGather& g, const Channels& channels, int64_t first, int64_t last, bf16* strip) {
  const auto clear = [&](bf16* p) {
    std::memset(p + first * g.pixel, 0, static_cast<size_t>((last - first) * g.pixel) * sizeof(bf16));
  };
  if (g.joined) return clear(strip), clear(strip + g.low);
  for (int64_t b = 0; b < channels.blocks(); ++b) clear(strip + b * g.plane);
}

inline void pack_strip(const AmxGather& g, const Source& s, const Strip& strip, const Channels& channels, bf16* to) {
  const int64_t row = g.pitch * g.tile_step, end = g.lead + g.classes.phases * g.phase_rows * row;
  const int64_t x0 = g.column_step > 1 ? g.w.phase[0].first_shift : 0;
  const Span columns = inside(0, g.columns, g.column_step, x0, g.src.w);
  clear_pixels(g, channels, 0, g.lead, to);
  for (int64_t i = 0; i < g.classes.phases * g.phase_rows; ++i) {
    const int64_t at = g.lead + i * row, u = i % g.phase_rows * g.classes.stride + i / g.phase_rows;
    const int64_t y = strip.top + u * g.classes.step;
    if (y < 0 || y >= g.src.h || columns.first >= columns.last) {
      clear_pixels(g, channels, at, at + row, to);
      continue;
    }
    clear_pixels(g, channels, at, at + columns.first, to);
    const float* from = s.view.at<float>(strip.n, y, x0 + columns.first * g.column_step);
    bf16* pixel = to + (at + columns.first) * g.pixel;
    for (int64_t x = columns.first; x < columns.last; ++x, pixel += g.pixel) {
      g.joined ? pack_narrow(g, s, from, pixel) : pack_blocks(g, s, from, channels, pixel);
      from += g.column_step * s.view.pixel_stride;
    }
    clear_pixels(g, channels, at + columns.last, at + row, to);
  }
  clear_pixels(g, channels, end, g.plane / g.pixel, to);
}

/// The sums of destination pixels p, p + 1, ... of a strip leave the kernel. Those between the rows are dropped.
inline void leave_tiles(const AmxGather& g, const Arguments& a, const AxisPhase& h, const AxisPhase& v,
                        const Strip& strip, const TileBlock& block, int64_t p, int64_t pixels, const float* sums) {
  const Epilogue& e = a.epilogue;
  const Writer write(a.dst[0]);
  const float* bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
  int64_t j = p / g.pitch, q = p % g.pitch;
  for (int64_t i = 0; i < pixels; ++i, sums += block.width) {
    if (q < v.count) {
      const int64_t y = h.offset + (strip.row_class + (strip.j0 + j) * g.classes.classes) * g.h.step;
      const int64_t x = v.offset + q * g.w.step;
      float* dst = a.dst[0].view.at<float>(strip.n, y, x);
      const float* residual = e.residual ? e.residual.at<float>(strip.n, y, x) : nullptr;
      const float* gate = e.gate ? e.gate.at<float>(strip.n, y, x) : nullptr;
      for (int64_t o = 0; o < block.width && block.o0 + o < g.dst.c; o += lanes) {
        const int64_t c = block.o0 + o, left = g.dst.c - c;
        const vfloat sum = load(sums + o) + (bias ? load_some(bias + c, left) : zero());
        leave_vector(sum, e, c, residual ? residual + c : nullptr, gate ? gate + c : nullptr, write, dst + c, left);
      }
    }
    if (++q == g.pitch) q = 0, ++j;
  }
}

/// Products for a strip: of one row phase and one column phase, one block of destination channels, one block of source
/// channels.
template <class Tiles>
struct StripProduct {
  const AmxGather& g;
  const Arguments& a;
  const AxisPhase &h, &v;
  const Strip& strip;
  const Channels& channels;
  const TileBlock& block;
  const bf16* panel;
  bool first, last;  // of the blocks of source channels

  /// Tap rows [t0, t1) meet the map somewhere in destination rows [j0, j1] of the strip.
  Span tap_rows(int64_t j0, int64_t j1) const {
    const auto row = [&](int64_t j, int64_t t) { return strip.top + (j * g.classes.stride + t) * g.classes.step; };
    Span met{0, h.taps};
    while (met.first < met.last && row(j1, met.first) < 0) ++met.first;
    while (met.first < met.last && row(j0, met.last - 1) >= g.src.h) --met.last;
    return met;
  }
  /// Tap columns that meet the map anywhere.
  Span tap_columns() const {
    Span met{0, g.columns_of(v)};
    if (g.joined || g.column_step > 1) return met;
    while (met.first < met.last && v.first_shift + met.first * v.shift_step + (v.count - 1) * g.w.stride < 0)
      ++met.first;
    while (met.first < met.last && v.first_shift + (met.last - 1) * v.shift_step >= g.src.w) --met.last;
    return met;
  }

  /// The blocks of 32 channels come one after the other, so that the tiles of all their taps, which are the same pixels
  /// over and over, stay in the L1 cache.
  template <int M, int V>
  [[gnu::always_inline]] void add_products(TileProduct<M, V, Tiles>& product, int64_t p, const Span& rows,
                                           const Span& columns) const {
    const int64_t row = g.pitch * g.tile_step, count = g.columns_of(v);
    const int64_t step = g.tile_step * g.pixel, low = g.low;
    const int64_t column_size = g.joined ? tile_depth : v.shift_step * g.pixel;
    const int64_t shift = g.column_step > 1 ? 0 : v.first_shift;
    for (int64_t b = 0; b < channels.blocks(); ++b) {
      for (int64_t ty = rows.first; ty < rows.last; ++ty) {
        const int64_t place = ty % g.classes.stride * g.phase_rows + ty / g.classes.stride;
        const int64_t offset = (g.lead + place * row + shift + p * g.tile_step) * g.pixel + columns.first * column_size;
        const bf16* x = strip.packed + b * g.plane + offset;
        const bf16* w = panel + ((b * h.taps + ty) * count + columns.first) * V * right_size;
        for (int64_t tx = columns.first; tx < columns.last; ++tx, x += column_size, w += V * right_size)
          product.add({x, step, low}, w);
      }
    }
  }

  /// Destination pixels from p on, M tiles of them. `kept`: their sums between blocks of channels.
  template <int M, int V>
  void run(Tiles& tiles, int64_t p, int64_t pixels, const Span& columns, float* kept) const {
    alignas(64) float leaving[2 * tile_edge * AmxGather::out_block];
    TileProduct<M, V, Tiles> product(tiles);
    first ? product.zero() : product.load(kept);
    const Span rows = tap_rows(p / g.pitch, (p + pixels - 1) / g.pitch);
    add_products(product, p, rows, columns);
    product.store(last ? leaving : kept);
    if (last) leave_tiles(g, a, h, v, strip, block, p, pixels, leaving);
  }

  /// All destination pixels. Returns where the sums of what comes next are kept.
  float* run(Tiles& tiles, float* kept) const {
    const int64_t pixels = strip.j1 > strip.j0 ? (strip.j1 - strip.j0 - 1) * g.pitch + v.count : 0;
    const Span columns = tap_columns();
    for (int64_t p = 0; p < pixels; p += 2 * tile_edge) {
      const int64_t some = least(2 * tile_edge, pixels - p);
      with_tiles((some + tile_edge - 1) / tile_edge, block.width / tile_edge,
                 [&]<int M, int V>() { run<M, V>(tiles, p, some, columns, kept); });
      if (g.in_blocks > 1) kept += 2 * tile_edge * block.width;
    }
    return kept;
  }
};

/// What one chunk works on: strips [s0, s1) of a row phase of an image, blocks [b0, b1) of destination channels.
struct GatherChunk {
  int64_t n, row_phase, s0, s1, b0, b1;
};

inline Strip strip_of(const AmxGather& g, const GatherChunk& chunk, int64_t s, const bf16* packed) {
  const AxisPhase& h = g.h.phase[chunk.row_phase];
  Strip strip{chunk.n, s / g.bands, s % g.bands * g.rows, 0, 0, packed + (s - chunk.s0) * g.strip_size};
  const int64_t rows = (h.count - strip.row_class + g.classes.classes - 1) / g.classes.classes;
  strip.j1 = least(strip.j0 + g.rows, rows);
  strip.top = strip.row_class * g.h.stride + h.first_shift + strip.j0 * g.classes.stride * g.classes.step;
  return strip;
}

inline int64_t strip_number(const AmxGather& g, int64_t n, int64_t row_phase, int64_t s) {
  return (n * g.h.phases + row_phase) * g.classes.classes * g.bands + s;
}

inline void pack_strips(const AmxGather& g, const Source& source, const GatherChunk& chunk, const Channels& channels,
                        bf16* to) {
  for (int64_t s = chunk.s0; s < chunk.s1; ++s, to += g.strip_size) {
    const Strip strip = strip_of(g, chunk, s, to);
    if (strip.j1 > strip.j0) pack_strip(g, source, strip, channels, to);
  }
}

template <class Tiles>
void run_chunk(const AmxGather& g, const Arguments& a, const GatherChunk& chunk, std::byte* scratch) {
  bf16* strips = reinterpret_cast<bf16*>(g.shared ? a.scratch : scratch);
  if (g.shared) strips += strip_number(g, chunk.n, chunk.row_phase, chunk.s0) * g.strip_size;
  float* sums = reinterpret_cast<float*>(scratch + g.strips_bytes());
  bf16* made = reinterpret_cast<bf16*>(sums + g.sums);
  const AxisPhase& h = g.h.phase[chunk.row_phase];
  Tiles tiles;
  for (int64_t i = 0; i < g.in_blocks; ++i) {
    const Channels channels = channels_of(g, i);
    if (!g.shared) pack_strips(g, a.src[0], chunk, channels, strips);
    float* kept = sums;
    for (int64_t b = chunk.b0; b < chunk.b1; ++b) {
      const TileBlock block = tile_block(g, b);
      for (int64_t k = 0; k < g.w.phases; ++k) {
        const AxisPhase& v = g.w.phase[k];
        const bf16* panel = reinterpret_cast<const bf16*>(a.packed) +
                            panel_offset(g, block, channels, steps_before(g, chunk.row_phase, k));
        if (!g.prepacked) {
          pack_panel(g, a.parameters[0], h, v, block, channels, made);
          panel = made;
        }
        for (int64_t s = chunk.s0; s < chunk.s1; ++s) {
          const Strip strip = strip_of(g, chunk, s, strips);
          const StripProduct<Tiles> product{g, a, h, v, strip, channels, block, panel, i == 0, i + 1 == g.in_blocks};
          kept = product.run(tiles, kept);
        }
      }
    }
  }
}

template <class Tiles>
void amx_gather(const AmxGather& g, const Arguments& a) {
  const int64_t strips = g.classes.classes * g.bands;
  if (g.shared) {
    parallel_for(g.dst.n * g.h.phases * strips, [&](int64_t index, int) {
      const int64_t s = index % strips, row_phase = index / strips % g.h.phases;
      const GatherChunk chunk{index / strips / g.h.phases, row_phase, s, s + 1, 0, 0};
      pack_strips(g, a.src[0], chunk, channels_of(g, 0), reinterpret_cast<bf16*>(a.scratch) + index * g.strip_size);
    });
  }
  std::byte* threads = a.scratch + g.shared_bytes();
  parallel_for(g.dst.n * g.h.phases * g.strip_groups * g.out_groups, [&](int64_t index, int thread) {
    const int64_t out = index % g.out_groups, rest = index / g.out_groups;
    const int64_t group = rest % g.strip_groups, row_phase = rest / g.strip_groups % g.h.phases;
    const GatherChunk chunk{rest / g.strip_groups / g.h.phases,
                            row_phase,
                            group * g.strips,
                            least((group + 1) * g.strips, strips),
                            part(g.out_blocks, out, g.out_groups),
                            part(g.out_blocks, out + 1, g.out_groups)};
    run_chunk<Tiles>(g, a, chunk, threads + thread * g.thread_bytes());
  });
}

/// The weights of all blocks, beforehand.
inline void amx_pack(const AmxGather& g, const Arguments& a) {
  parallel_for(g.out_blocks, [&](int64_t b, int) {
    const TileBlock block = tile_block(g, b);
    for (int64_t i = 0; i < g.in_blocks; ++i) {
      const Channels channels = channels_of(g, i);
      for (int64_t j = 0; j < g.h.phases; ++j) {
        for (int64_t k = 0; k < g.w.phases; ++k)
          pack_panel(g, a.parameters[0], g.h.phase[j], g.w.phase[k], block, channels,
                     reinterpret_cast<bf16*>(a.packed) + panel_offset(g, block, channels, steps_before(g, j, k)));
      }
    }
  });
}

}  // namespace pixelwise::PIXELWISE_ISA
