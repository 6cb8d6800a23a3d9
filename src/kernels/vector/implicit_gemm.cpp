// Convolution without im2col: the matrix product runs over pixels of a packed band of the map, in which every tap is a
// constant offset (Georganas et al. 2018, "Anatomy of high-performance deep learning convolutions on SIMD
// architectures"; register tile and panels after Goto, van de Geijn 2008).
#include "kernels/vector/conv_plan.hpp"

#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_tile.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// The weights of destination channels [o0, o0 + width) and source channels [c0, c0 + channels) for one phase:
// [tap row][tap column][channel][lane], 0 in lanes past the last channel.
void pack_panel(const Gather& g, const View& w, const AxisPhase& h, const AxisPhase& v, int64_t o0, int64_t width,
                int64_t c0, int64_t channels, float* to) {
  const int64_t count = least(width, g.dst.c - o0);
  for (int64_t ty = 0; ty < h.taps; ++ty) {
    for (int64_t tx = 0; tx < v.taps; ++tx, to += channels * width) {
      const float* tap = w.at<float>(0, h.first_tap + ty * h.tap_step, v.first_tap + tx * v.tap_step);
      if (g.transposed_weights)
        copy_outputs(tap + c0 * w.image_stride + o0, w.image_stride, count, channels, width, to);
      else
        pack_outputs(tap + o0 * w.image_stride + c0, w.image_stride, count, channels, width, to);
    }
  }
}

// A block of destination channels: one vector wide where that is enough.
struct Block {
  int64_t o0, channels, width;
};
Block block_of(const Gather& g, int64_t i) {
  const int64_t o0 = i * g.block, channels = least(g.block, g.dst.c - o0);
  return {o0, channels, channels <= lanes ? lanes : g.block};
}

// Panels in `packed`: per block, per block of source channels, per phase.
int64_t panel_offset(const Gather& g, const Block& block, int64_t c0, int64_t channels, int64_t taps_before) {
  return g.kernel.h * g.kernel.w * (block.o0 * g.src.c + c0 * block.width) + taps_before * channels * block.width;
}

// fn(row phase, column phase, taps of the phases before)
template <class Fn>
void for_each_phase(const Gather& g, const Fn& fn) {
  int64_t taps = 0;
  for (int64_t i = 0; i < g.h.phases; ++i) {
    for (int64_t j = 0; j < g.w.phases; ++j) {
      fn(g.h.phase[i], g.w.phase[j], taps);
      taps += g.h.phase[i].taps * g.w.phase[j].taps;
    }
  }
}

// The parameters of a block of destination channels, 0 in lanes past the last.
struct BlockParameters {
  alignas(64) float bias[2 * lanes] = {}, scale[2 * lanes] = {}, shift[2 * lanes] = {};

  BlockParameters(const Arguments& a, const Block& block) {
    const auto copy = [&](const View& from, float* to) {
      for (int64_t o = 0; from && o < block.channels; ++o) to[o] = from.as<float>()[block.o0 + o];
    };
    if (a.parameters.size() > 1) copy(a.parameters[1], bias);
    copy(a.epilogue.scale, scale), copy(a.epilogue.shift, shift);
  }
};

// Where the sums of a row of one phase go: dst = act(scale sum + shift + residual) * act'(gate), written or added.
struct Exit {
  const Gather& g;
  const Arguments& a;
  Block block;
  int64_t n, y, first;
  MomentsPart moments;

  // Pixels [q, q + pixels) leave the kernel.
  void leave(int64_t q, int64_t pixels, const float* sums) const {
    const Epilogue& e = a.epilogue;
    const Writer write(a.dst[0]);
    if (moments)
      block.width == lanes ? moments.add_pixels<1>(block.o0, sums, block.width, pixels, {})
                           : moments.add_pixels<2>(block.o0, sums, block.width, pixels, {});
    for (int64_t x = first + q * g.w.step, m = 0; m < pixels; ++m, x += g.w.step, sums += block.width) {
      float* dst = a.dst[0].view.at<float>(n, y, x) + block.o0;
      const float* residual = e.residual ? e.residual.at<float>(n, y, x) + block.o0 : nullptr;
      const float* gate = e.gate ? e.gate.at<float>(n, y, x) + block.o0 : nullptr;
      for (int64_t o = 0; o < block.channels; o += lanes) {
        leave_vector(load(sums + o), e, block.o0 + o, residual ? residual + o : nullptr, gate ? gate + o : nullptr,
                     write, dst + o, block.channels - o);
      }
    }
  }
  // The lines that leave() will touch are asked for while the sums are computed: a block of channels has two of each
  // pixel, too far apart for the processor to see where it goes on. (always_inline: GCC drops calls of functions that
  // only prefetch.)
  [[gnu::always_inline]] void prepare(int64_t q, int64_t pixels) const {
    if (a.epilogue.residual) ask_for(a.epilogue.residual, q, pixels);
    if (a.epilogue.gate) ask_for(a.epilogue.gate, q, pixels);
    if (!Writer(a.dst[0]).past) ask_for(a.dst[0].view, q, pixels);
  }

 private:
  [[gnu::always_inline]] void ask_for(const View& map, int64_t q, int64_t pixels) const {
    const float* p = map.at<float>(n, y, first + q * g.w.step) + block.o0;
    for (int64_t m = 0; m < pixels; ++m, p += g.w.step * map.pixel_stride)
      for (int64_t o = 0; o < block.width; o += 16) __builtin_prefetch(p + o);
  }
};

// What one chunk works on: a band of rows [q0, q1) of every phase of image n.
struct Band {
  int64_t n, q0, q1;
  bool in_place;
  const float* packed;  // [source channel block][row][column][channel], from row q0 * stride + low
  int64_t packed_rows, packed_columns;
  MomentsPart moments;
};

// The weights of one phase for a block of destination channels, and for source channels [c0, c0 + channels):
// [tap row][tap column][channel][lane].
struct Panel {
  const float* weights;
  int64_t c0, channels;
  Block block;
};

// One row of one phase, one block of source channels.
struct Row {
  const float* x;
  int64_t step, length, run_count;
  Run runs[Gather::max_taps];
};

void set_row(const Gather& g, const Arguments& a, const Band& band, const AxisPhase& h, const AxisPhase& v, int64_t q,
             const Panel& panel, Row& row) {
  const View& src = a.src[0].view;
  const int64_t c0 = panel.c0, channels = panel.channels;
  row.run_count = 0;
  row.length = channels;
  if (band.in_place) {
    row.x = src.at<float>(band.n, q * g.h.stride + h.first_shift, v.first_shift) + c0;
    row.step = g.w.stride * src.pixel_stride;
    if (h.taps > 0 && v.taps > 0) row.runs[row.run_count++] = {0, panel.weights};
    return;
  }
  const bool joined = v.shift_step == 1 || v.taps <= 1;  // the taps of a row are one run of (column, channel)
  if (joined) row.length = channels * v.taps;
  row.x = band.packed + (c0 * band.packed_rows + (q - band.q0) * g.h.stride * channels) * band.packed_columns;
  row.step = g.w.stride * channels;
  for (int64_t ty = 0; ty < h.taps; ++ty) {
    const int64_t shift = h.first_shift + ty * h.shift_step, y = q * g.h.stride + shift;
    if (y < 0 || y >= g.src.h) continue;  // the whole row of taps meets the border
    for (int64_t tx = 0; tx < (joined ? least(v.taps, 1) : v.taps); ++tx) {
      const int64_t column = v.first_shift + tx * v.shift_step - g.w.low;
      row.runs[row.run_count++] = {((shift - g.h.low) * band.packed_columns + column) * channels,
                                   panel.weights + (ty * v.taps + tx) * channels * panel.block.width};
    }
  }
}

// All of the sums of a row of one phase, that leave directly.
void run_result_tiles(const Row& row, int64_t pixels, const BlockParameters& block, const Exit& exit, bool past) {
  const View& dst = exit.a.dst[0].view;
  const int64_t tiles = (pixels + tile_rows - 1) / tile_rows, vectors = exit.block.width / lanes;
  const int64_t each = pixels / tiles, longer = pixels % tiles, pixel = exit.g.w.step * dst.pixel_stride;
  const Epilogue& e = exit.a.epilogue;
  Results results{dst.at<float>(exit.n, exit.y, exit.first) + exit.block.o0,
                  pixel,
                  exit.block.channels - (vectors - 1) * lanes,
                  e.scale ? block.scale : nullptr,
                  block.shift,
                  e.act,
                  past,
                  exit.moments,
                  exit.block.o0};
  const float* x = row.x;
  // The first tiles have a pixel more.
  for (const Strip strip : {Strip{longer, (each + 1) * row.step, 0, (each + 1) * pixel},
                            Strip{tiles - longer, each * row.step, 0, each * pixel}}) {
    with_constant<tile_rows>(strip.x / row.step, [&]<int M>() {
      with_vectors(exit.block.channels, [&]<int V, bool half>() {
        result_tiles<M, V, half>(x, x + strip.x, row.step, row.runs, row.run_count, row.length, block.bias, results,
                                 strip);
      });
    });
    x += strip.tiles * strip.x, results.to += strip.tiles * strip.results;
  }
}

// exit: null where the sums are not complete yet. A tile leaves at once, and is written while the next is computed.
void run_tiles(const Row& row, int64_t pixels, const Block& block, const float* bias, float* sums, const Exit* exit) {
  const int64_t tiles = (pixels + tile_rows - 1) / tile_rows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t x0 = part(pixels, t, tiles), count = part(pixels, t + 1, tiles) - x0;
    float* to = sums + x0 * block.width;
    const float* init = bias ? bias : to;
    const int64_t init_step = bias ? 0 : block.width;
    const float *x = row.x + x0 * row.step, *next = x + count * row.step;
    if (exit) exit->prepare(x0, count);
    with_constant<tile_rows>(count, [&]<int M>() {
      with_vectors(block.channels, [&]<int V, bool half>() {
        tile<M, V, half>(x, next, row.step, row.runs, row.run_count, row.length, init, init_step, to);
      });
    });
    if (exit) exit->leave(x0, count, to);
  }
}

// One row of one phase tap by tap: each adds to the sums of the pixels that meet the map, and no border is packed.
// `bias` begins the sums; null: they go on. `packed` is scratch for a row of a source that is not plain.
void add_taps(const Gather& g, const Source& source, int64_t n, const AxisPhase& h, const AxisPhase& v, int64_t q,
              const Panel& panel, const float* bias, float* packed, float* sums) {
  const View& src = source.view;
  const int64_t channels = panel.channels, width = panel.block.width;
  for (int64_t x = 0; bias && x < v.count; ++x)
    std::memcpy(sums + x * width, bias, static_cast<size_t>(width) * sizeof(float));
  for (int64_t ty = 0; ty < h.taps; ++ty) {
    const int64_t y = q * g.h.stride + h.first_shift + ty * h.shift_step;
    if (y < 0 || y >= src.shape.h) continue;
    for (int64_t tx = 0; tx < v.taps; ++tx) {
      const int64_t shift = v.first_shift + tx * v.shift_step;
      const Span met = inside(0, v.count, g.w.stride, shift, src.shape.w);
      if (met.first >= met.last) continue;
      const int64_t x = met.first * g.w.stride + shift, pixels = met.last - met.first;
      Row row;
      row.x = src.at<float>(n, y, x) + panel.c0, row.step = g.w.stride * src.pixel_stride;
      row.length = channels, row.run_count = 1,
      row.runs[0] = {0, panel.weights + (ty * v.taps + tx) * channels * width};
      if (!source.plain()) {
        pack_pixels(source, row.x, (pixels - 1) * g.w.stride + 1, panel.c0, channels, packed);
        row.x = packed, row.step = g.w.stride * channels;
      }
      run_tiles(row, pixels, panel.block, nullptr, sums + met.first * width, nullptr);
    }
  }
}

void gather_block(const Gather& g, const Arguments& a, const Band& band, const Block& block, float* scratch) {
  float *sums = scratch + g.band_floats, *panel_scratch = sums + g.sum_floats;
  const BlockParameters parameters(a, block);
  const bool direct = leaves_directly(a) && g.in_blocks == 1, past = streams(a);
  if (band.moments) band.moments.begin(block.o0, block.width);
  Row row;
  for_each_phase(g, [&](const AxisPhase& h, const AxisPhase& v, int64_t taps_before) {
    const int64_t last = least(band.q1, h.count);
    for (int64_t i = 0; i < g.in_blocks; ++i) {
      const int64_t c0 = i * g.in_block, channels = least(g.in_block, g.src.c - c0);
      const float* packed =
          reinterpret_cast<const float*>(a.packed) + panel_offset(g, block, c0, channels, taps_before);
      if (!g.prepacked) pack_panel(g, a.parameters[0], h, v, block.o0, block.width, c0, channels, panel_scratch);
      const Panel panel{g.prepacked ? packed : panel_scratch, c0, channels, block};
      for (int64_t q = band.q0; q < last; ++q) {
        float* to = sums + (g.in_blocks > 1 ? (q - band.q0) * v.count * block.width : 0);
        const float* start = i == 0 ? parameters.bias : nullptr;
        const Exit exit{g, a, block, band.n, h.offset + q * g.h.step, v.offset, band.moments};
        const bool complete = i + 1 == g.in_blocks;
        if (g.tapwise) {
          add_taps(g, a.src[0], band.n, h, v, q, panel, start, scratch, to);
          if (complete) exit.leave(0, v.count, to);
        } else {
          set_row(g, a, band, h, v, q, panel, row);
          direct ? run_result_tiles(row, v.count, parameters, exit, past)
                 : run_tiles(row, v.count, block, start, to, complete ? &exit : nullptr);
        }
      }
    }
  });
}

// Where rows adjoin in all maps, they are one.
Shape rows_of(const Gather& g, const Arguments& a) {
  bool all = true;
  for (const View* v : {&a.src[0].view, &a.dst[0].view, &a.epilogue.residual, &a.epilogue.gate})
    all &= !*v || rows_adjoin(*v);
  return all && g.h.stride == 1 && g.w.stride == 1 ? Shape{1, 1, g.dst.pixels(), g.dst.c} : g.dst;
}

// What a chunk of a pointwise convolution knows of all its tiles.
struct Points {
  const Gather& g;
  const Arguments& a;
  PerChannel all;
  MomentsPart moments;
  bool direct, past;
  float* sums;  // of a tile that does not leave directly
};

// The results of `tiles` tiles of `pixels` pixels from (n, y, x), of which there is one where pixels have more than one
// block of channels: then the blocks are the strip.
void point_tiles(const Points& p, int64_t n, int64_t y, int64_t x, int64_t pixels, int64_t tiles) {
  const Gather& g = p.g;
  const Arguments& a = p.a;
  const View &src = a.src[0].view, &dst = a.dst[0].view;
  const int64_t step = g.w.stride * src.pixel_stride, panel = g.src.c * g.block;
  const float *from = src.at<float>(n, y * g.h.stride, 0) + x * step, *next = from + pixels * step;
  float* to = dst.at<float>(n, y, x);
  for (int64_t b = 0, blocks = 1; b < g.out_blocks; b += blocks) {
    const Block block = block_of(g, b);
    blocks = p.direct ? most(1, g.dst.c / g.block - b) : 1;  // all whole ones, then what is left
    const Strip strip = tiles > 1 ? Strip{tiles, pixels * step, 0, pixels * dst.pixel_stride, 0}
                                  : Strip{blocks, 0, panel, g.block, g.block};
    const Run run{0, reinterpret_cast<const float*>(a.packed) + panel_offset(g, block, 0, g.src.c, 0)};
    const float* bias = p.all.bias + block.o0;
    const Results results{to + block.o0,
                          dst.pixel_stride,
                          block.channels - (block.width - lanes),
                          a.epilogue.scale ? p.all.scale + block.o0 : nullptr,
                          p.all.shift + block.o0,
                          a.epilogue.act,
                          p.past,
                          p.moments,
                          block.o0};
    const Exit exit{g, a, block, n, y, x, p.moments};
    if (!p.direct) exit.prepare(0, pixels);
    with_constant<tile_rows>(pixels, [&]<int M>() {
      with_vectors(block.channels, [&]<int V, bool half>() {
        p.direct ? result_tiles<M, V, half>(from, next, step, &run, 1, g.src.c, bias, results, strip)
                 : tile<M, V, half>(from, next, step, &run, 1, g.src.c, bias, 0, p.sums);
      });
    });
    if (!p.direct) exit.leave(0, pixels, p.sums);
  }
}

// 1x1 of few weights: all results of a few pixels are computed together, so that pixels are read and written whole and
// in the order of memory.
void pointwise(const Gather& g, const Arguments& a) {
  const bool direct = leaves_directly(a);
  const Shape rows = rows_of(g, a);
  // Tiles of `each` pixels, the first `longer` with one more: nothing is divided in the loop, where a tile takes little
  // longer than a few divisions.
  const int64_t tiles = (rows.w + tile_rows - 1) / tile_rows, each = rows.w / tiles, longer = rows.w % tiles;
  const int64_t total = rows.n * rows.h * tiles;
  // A power of two, so that threads have as many chunks; long ones, as nobody has asked for the pixels of a first tile.
  int64_t chunks = Gather::pointwise_chunks;
  while ((chunks > 16 && 64 * chunks > total) || (chunks > 8 && 16 * chunks > total)) chunks /= 2;
  chunks = least(chunks, total);
  parallel_for(chunks, [&](int64_t chunk, int thread) {
    float* sums = reinterpret_cast<float*>(a.scratch) + thread * g.thread_floats() + g.band_floats;
    const int64_t padded = g.out_blocks * g.block;
    const MomentsPart moments = moments_part(g.moments, a, chunk);
    if (moments) moments.begin(0, padded);
    const PerChannel all = pad_channels(a, padded, sums + tile_rows * g.block);
    const Points points{g, a, all, moments, direct, streams(a), sums};
    const int64_t end = part(total, chunk + 1, chunks);
    int64_t i = part(total, chunk, chunks), t = i % tiles, y = i / tiles % rows.h, n = i / tiles / rows.h;
    while (i < end) {
      const int64_t equal = (t < longer ? longer : tiles) - t,
                    count = direct && g.out_blocks == 1 ? least(equal, end - i) : 1;
      point_tiles(points, n, y, t * each + least(t, longer), each + (t < longer ? 1 : 0), count);
      i += count, t += count;
      if (t == tiles) t = 0, ++y;
      if (y == rows.h) y = 0, ++n;
    }
  });
  leave_moments(g.moments, a, chunks, 0, g.dst.c);
}

}  // namespace

void gather_pack(const Gather& g, const Arguments& a) {
  float* packed = reinterpret_cast<float*>(a.packed);
  parallel_for(g.out_blocks, [&](int64_t chunk, int) {
    const Block block = block_of(g, chunk);
    for (int64_t i = 0; i < g.in_blocks; ++i) {
      const int64_t c0 = i * g.in_block, channels = least(g.in_block, g.src.c - c0);
      for_each_phase(g, [&](const AxisPhase& h, const AxisPhase& v, int64_t taps_before) {
        pack_panel(g, a.parameters[0], h, v, block.o0, block.width, c0, channels,
                   packed + panel_offset(g, block, c0, channels, taps_before));
      });
    }
  });
}

void gather(const Gather& g, const Arguments& a) {
  const bool in_place = g.in_place && a.src[0].plain();
  if (g.pointwise && in_place) return pointwise(g, a);
  parallel_for(g.dst.n * g.bands * g.out_groups, [&](int64_t chunk, int thread) {
    float* scratch = reinterpret_cast<float*>(a.scratch) + thread * g.thread_floats();
    const int64_t group = chunk % g.out_groups, index = chunk / g.out_groups % g.bands;
    Band band{chunk / g.out_groups / g.bands,
              index * g.rows,
              least((index + 1) * g.rows, g.h.count),
              in_place,
              scratch,
              0,
              g.w.extent(),
              moments_part(g.moments, a, chunk / g.out_groups)};
    band.packed_rows = (band.q1 - band.q0 - 1) * g.h.stride + g.h.high - g.h.low + 1;
    for (int64_t i = 0; !in_place && !g.tapwise && i < g.in_blocks; ++i) {
      const int64_t c0 = i * g.in_block, channels = least(g.in_block, g.src.c - c0);
      pack_rectangle(a.src[0], band.n, band.q0 * g.h.stride + g.h.low, band.packed_rows, g.w.low, band.packed_columns,
                     c0, channels, scratch + c0 * band.packed_rows * band.packed_columns);
    }
    for (int64_t b = part(g.out_blocks, group, g.out_groups); b < part(g.out_blocks, group + 1, g.out_groups); ++b)
      gather_block(g, a, band, block_of(g, b), scratch);
  });
  leave_moments(g.moments, a, g.dst.n * g.bands, 0, g.dst.c);
}

}  // namespace pixelwise::PIXELWISE_ISA
