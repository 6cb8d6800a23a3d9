// The weight gradient as a sum of outer products over pixels, straight from rows of channels-last maps: a register tile
// is a few coarse channels (broadcast) by two vectors of (tap column, fine channel).
#include "kernels/vector/conv_outer.hpp"
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_plan.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int64_t few_pixels = 4;        // whose products are written at once
constexpr int64_t packed_channels = 64;  // above, the channels of a block are packed for every tap

// What one chunk owns: rows [k0, k1) of the kernel, coarse channels [o0, o0 + channels), fine channels [i0, i0 +
// fines), and their sums in scratch: [channel][tap row][(tap column, fine channel), padded to vectors].
struct Chunk {
  int64_t k0, k1, o0, channels, i0, fines;
  int64_t tap, run, sums_row;  // floats from tap to tap, from tap row to tap row, from channel to channel
  float *sums, *fine, *coarse;
};

// The coarse pixels of a band: packed where the source is not plain, the chunk has only some of the channels, or pixels
// meet in a few sets of the L1 cache; an odd number of cache lines apart, so that those packed do not.
Pixels coarse_pixels(const Correlation& c, const Source& coarse, const Chunk& chunk, int64_t n, int64_t q0,
                     int64_t q1) {
  Pixels p{};
  p.coarse = coarse.view.at<float>(n, q0, 0) + chunk.o0;
  p.coarse_step = coarse.view.pixel_stride;
  p.coarse_row = coarse.view.row_stride;
  const bool meet = p.coarse_step % 64 == 0;
  if (!coarse.plain() || chunk.channels < c.coarse.c || meet) {
    const float* from = p.coarse;
    const int64_t row = p.coarse_row, step = p.coarse_step;
    p.coarse = chunk.coarse;
    p.coarse_step = c.coarse_pitch;
    p.coarse_row = p.coarse_step * c.coarse.w;
    float* to = chunk.coarse;
    for (int64_t y = 0; y < q1 - q0; ++y, from += row) {
      for (int64_t x = 0; x < c.coarse.w; ++x, to += p.coarse_step)
        pack_pixels(coarse, from + x * step, 1, chunk.o0, chunk.channels, to);
    }
  }
  return p;
}

// Up to two vectors of channels, [c, c + count), of pixels `step` floats apart, as the Source gives them. Pixels are
// asked for early: they may come from memory.
void pack_pair(const Source& s, const float* from, int64_t step, int64_t pixels, int64_t c, int64_t count, float* to,
               int64_t to_step) {
  constexpr int64_t ahead = 16;
  const int64_t first = least(count, lanes), second = count - first;
  const auto of = [&](const View& view, int64_t i, int64_t n, float otherwise) {
    return view && n > 0 ? load_some(view.as<float>() + i, n) : broadcast(otherwise);
  };
  const vfloat scale = of(s.scale, c, first, 1), next_scale = of(s.scale, c + lanes, second, 1);
  const vfloat shift = of(s.shift, c, first, 0), next_shift = of(s.shift, c + lanes, second, 0);
  from += c;
  for (int64_t x = 0; x < pixels; ++x, from += step, to += to_step) {
    __builtin_prefetch(from + ahead * step), __builtin_prefetch(from + ahead * step + count - 1);
    store(to, activate(load_some(from, first) * scale + shift, s.act));
    if (second > 0) store(to + lanes, activate(load_some(from + lanes, second) * next_scale + next_shift, s.act));
  }
}

// Channels [c0, c0 + length) of the pixels from `from` on become the blocks that outer_run reads, one behind the other:
// whole pixels are read, whatever their distance.
void pack_blocks(const Source& s, const float* from, int64_t c0, int64_t length, Pixels& p, float* to) {
  p.fine = to;
  const int64_t step = p.fine_step, row = p.fine_row;
  p.fine_step = 2 * lanes, p.fine_row = p.columns * p.fine_step, p.fine_block = p.rows * p.fine_row;
  for (int64_t y = 0; y < p.rows; ++y, from += row, to += p.fine_row) {
    for (int64_t i = 0; i < length; i += 2 * lanes)
      pack_pair(s, from, step, p.columns, c0 + i, least(2 * lanes, length - i), to + i / (2 * lanes) * p.fine_block,
                p.fine_step);
  }
}

// Whole vectors of channels, tap by tap: each meets the pixels whose source lies in the map.
void add_taps(const Correlation& c, const Source& fine, const Chunk& chunk, const Pixels& band, int64_t n, int64_t q0,
              int64_t q1) {
  for (int64_t ky = chunk.k0; ky < chunk.k1; ++ky) {
    for (int64_t kx = 0; kx < c.kernel.w; ++kx) {
      const int64_t dy = ky * c.dilation.h - c.pad.h, dx = kx * c.dilation.w - c.pad.w;
      const Span y = inside(q0, q1, c.stride.h, dy, c.fine.h), met = inside(0, c.coarse.w, c.stride.w, dx, c.fine.w);
      if (y.first >= y.last || met.first >= met.last) continue;
      // Few channels: neighbouring pixels lie close enough together as they are.
      const bool in_place = fine.plain() && c.fine.c <= packed_channels;
      const int64_t columns = met.last - met.first, most_columns = in_place ? columns : outer_pixels;
      const int64_t parts = (columns + most_columns - 1) / most_columns;
      for (int64_t i = 0; i < parts; ++i) {
        const int64_t x = met.first + part(columns, i, parts);
        Pixels p = band;
        p.coarse += (y.first - q0) * p.coarse_row + x * p.coarse_step;
        p.rows = y.last - y.first;
        p.columns = met.first + part(columns, i + 1, parts) - x;
        p.fine_step = c.stride.w * fine.view.pixel_stride;
        p.fine_row = c.stride.h * fine.view.row_stride;
        p.fine = fine.view.at<float>(n, y.first * c.stride.h + dy, x * c.stride.w + dx);
        p.fine_block = 2 * lanes;
        if (!in_place) pack_blocks(fine, p.fine, chunk.i0, chunk.fines, p, chunk.fine);
        outer_run(p, chunk.fines, chunk.channels, chunk.sums + (ky - chunk.k0) * chunk.run + kx * chunk.tap,
                  chunk.sums_row);
      }
    }
  }
}

// Any channels: rows are packed with their border. Without dilation the taps of a row are one run of (column, channel).
void add_packed(const Correlation& c, const Source& fine, const Chunk& chunk, const Pixels& band, int64_t n, int64_t q0,
                int64_t q1) {
  const int64_t top = q0 * c.stride.h + chunk.k0 * c.dilation.h - c.pad.h;
  const int64_t rows = (q1 - q0 - 1) * c.stride.h + (chunk.k1 - chunk.k0 - 1) * c.dilation.h + 1;
  const int64_t columns = (c.coarse.w - 1) * c.stride.w + (c.kernel.w - 1) * c.dilation.w + 1;
  pack_rectangle(fine, n, top, rows, -c.pad.w, columns, chunk.i0, chunk.fines, chunk.fine);
  const bool joined = c.dilation.w == 1;
  Pixels p = band;
  p.fine_block = 2 * lanes;
  p.fine_step = c.stride.w * chunk.fines;
  p.fine_row = c.stride.h * columns * chunk.fines;
  p.rows = q1 - q0;
  p.columns = c.coarse.w;
  for (int64_t ky = chunk.k0; ky < chunk.k1; ++ky) {
    for (int64_t kx = 0; kx < (joined ? 1 : c.kernel.w); ++kx) {
      p.fine = chunk.fine + ((ky - chunk.k0) * c.dilation.h * columns + kx * c.dilation.w) * chunk.fines;
      outer_run(p, joined ? chunk.fines * c.kernel.w : chunk.fines, chunk.channels,
                chunk.sums + (ky - chunk.k0) * chunk.run + kx * chunk.tap, chunk.sums_row);
    }
  }
}

// The sums of a chunk go to dst, or to their place among the partial sums of a slab: [coarse channel][tap][fine
// channel].
void leave(const Correlation& c, const Destination& dst, const Chunk& chunk, float* slab) {
  for (int64_t o = 0; o < chunk.channels; ++o) {
    for (int64_t ky = chunk.k0; ky < chunk.k1; ++ky) {
      for (int64_t kx = 0; kx < c.kernel.w; ++kx) {
        const float* from = chunk.sums + o * chunk.sums_row + (ky - chunk.k0) * chunk.run + kx * chunk.tap;
        float* to = chunk.i0 + (slab ? slab + (((chunk.o0 + o) * c.kernel.h + ky) * c.kernel.w + kx) * c.fine.c
                                     : dst.view.at<float>(chunk.o0 + o, ky, kx));
        if (!slab && dst.mode == Mode::add) {
          for (int64_t i = 0; i < chunk.fines; ++i) to[i] += from[i];
        } else {
          std::memcpy(to, from, static_cast<size_t>(chunk.fines) * sizeof(float));
        }
      }
    }
  }
}

void run_chunk(const Correlation& c, const Arguments& a, const Chunk& chunk, int64_t slab) {
  const Source &fine = a.src[static_cast<size_t>(c.fine_operand)],
               &coarse = a.src[static_cast<size_t>(1 - c.fine_operand)];
  const bool whole = c.fine.c % lanes == 0 && (fine.plain() || c.fine.c > packed_channels);
  std::memset(chunk.sums, 0, static_cast<size_t>(chunk.channels * chunk.sums_row) * sizeof(float));
  const int64_t all = c.coarse.n * c.bands;
  for (int64_t i = part(all, slab, c.slabs); i < part(all, slab + 1, c.slabs); ++i) {
    const int64_t n = i / c.bands, q0 = i % c.bands * c.rows, q1 = least(q0 + c.rows, c.coarse.h);
    const Pixels band = coarse_pixels(c, coarse, chunk, n, q0, q1);
    whole ? add_taps(c, fine, chunk, band, n, q0, q1) : add_packed(c, fine, chunk, band, n, q0, q1);
  }
}

bool plain(const Arguments& a) { return a.src[0].plain() && a.src[1].plain(); }

// Are the pixels of either map one long row?
bool in_one_row(const Arguments& a) { return rows_adjoin(a.src[0].view) && rows_adjoin(a.src[1].view); }

// What one chunk of a PointProduct owns.
struct Patch {
  int64_t row, rows, column, columns;  // channels that are broadcast, and those in vectors
};

Patch patch_of(const Correlation& c, int64_t group) {
  const PointProduct& p = c.point;
  const int64_t broadcast = p.swapped ? c.fine.c : c.coarse.c, vectors = p.swapped ? c.coarse.c : c.fine.c;
  const int64_t g = group % p.broadcast_groups, row = part(broadcast, g, p.broadcast_groups);
  const int64_t column = group / p.broadcast_groups * p.vector_group;
  return {row, part(broadcast, g + 1, p.broadcast_groups) - row, column, least(p.vector_group, vectors - column)};
}

// Rows [r, r + lanes) of a patch leave: the sums of all slabs, in order.
void leave(const Correlation& c, const Destination& dst, const Patch& patch, int64_t r, const float* sums) {
  const PointProduct& p = c.point;
  const int64_t rows = least(lanes, patch.rows - r), of_coarse = dst.view.image_stride;
  const Writer write(dst);
  const auto sum_at = [&](int64_t m, int64_t j) {
    const float* from = sums + (r + m) * p.sums_row + j;
    vfloat sum = load(from);
    for (int64_t s = 1; s < p.slabs; ++s) sum = sum + load(from + s * p.sum_floats);
    return sum;
  };
  float* to = dst.view.as<float>() +
              (p.swapped ? patch.column * of_coarse + patch.row + r : (patch.row + r) * of_coarse + patch.column);
  for (int64_t m = 0; !p.swapped && m < rows; ++m) {
    for (int64_t j = 0; j < patch.columns; j += lanes) write(to + m * of_coarse + j, sum_at(m, j), patch.columns - j);
  }
  for (int64_t j = 0; p.swapped && j < patch.columns; j += lanes) {
    vfloat v[lanes];
    for (int64_t m = 0; m < lanes; ++m) v[m] = m < rows ? sum_at(m, j) : zero();
    transpose(v);
    for (int64_t i = 0; i < least(lanes, patch.columns - j); ++i) write(to + (j + i) * of_coarse, v[i], rows);
  }
}

// The sums of a patch += the products of all pixels of a slab.
void add_pixels(const Correlation& c, const Arguments& a, const Patch& patch, int64_t slab, float* sums,
                float* packed) {
  const PointProduct& product = c.point;
  const Source &fine = a.src[static_cast<size_t>(c.fine_operand)],
               &coarse = a.src[static_cast<size_t>(1 - c.fine_operand)];
  const Source &broadcast = product.swapped ? fine : coarse, &vectors = product.swapped ? coarse : fine;
  const int64_t pixels = c.coarse.pixels();
  const int64_t first = part(product.bands, slab, product.slabs), last = part(product.bands, slab + 1, product.slabs);
  for (int64_t band = first; band < last; ++band) {
    const int64_t x = part(pixels, band, product.bands);
    Pixels p{};
    p.rows = 1, p.columns = part(pixels, band + 1, product.bands) - x;
    p.first = band == first;
    p.coarse_step = broadcast.view.pixel_stride, p.fine_step = vectors.view.pixel_stride, p.fine_block = 2 * lanes;
    p.coarse = broadcast.view.as<float>() + x * p.coarse_step + patch.row;
    const float* pixel = vectors.view.as<float>() + x * p.fine_step;
    p.fine = pixel + patch.column;
    if (band + 1 < last) p.coarse_next = p.columns * p.coarse_step, p.fine_next = p.columns * p.fine_step;
    const bool past_end = patch.columns % lanes != 0 && band + 1 == product.bands;  // of the map nobody reads
    if (!vectors.plain() || past_end) {
      pack_blocks(vectors, pixel, patch.column, patch.columns, p, packed);
      p.fine_next = 0;
    }
    if (!broadcast.plain()) {
      const float* from = p.coarse - patch.row;
      const int64_t step = p.coarse_step;
      float* to = packed + product.block_floats();
      p.coarse = to, p.coarse_step = round_to(patch.rows, lanes), p.coarse_next = 0;
      for (int64_t r = 0; r < patch.rows; r += 2 * lanes)
        pack_pair(broadcast, from, step, p.columns, patch.row + r, least(2 * lanes, patch.rows - r), to + r,
                  p.coarse_step);
    }
    outer_run(p, patch.columns, patch.rows, sums, product.sums_row);
  }
}

void multiply(const Correlation& c, const Arguments& a) {
  const PointProduct& p = c.point;
  const int64_t groups = p.broadcast_groups * p.vector_groups, blocks = (p.group_rows + lanes - 1) / lanes;
  float *slabs = reinterpret_cast<float*>(a.scratch), *threads = slabs + p.slab_floats();
  const bool together = p.slabs == 1;
  parallel_for(p.slabs * groups, [&](int64_t index, int thread) {
    const Patch patch = patch_of(c, index / p.slabs);
    float *own = threads + thread * p.thread_floats(), *packed = own + (together ? p.sum_floats : 0);
    float* sums = together ? own : slabs + index * p.sum_floats;
    add_pixels(c, a, patch, index % p.slabs, sums, packed);
    for (int64_t r = 0; together && r < patch.rows; r += lanes) leave(c, a.dst[0], patch, r, sums);
  });
  if (together) return;
  parallel_for(groups * blocks, [&](int64_t index, int) {
    const Patch patch = patch_of(c, index / blocks);
    const int64_t r = index % blocks * lanes;
    if (r < patch.rows) leave(c, a.dst[0], patch, r, slabs + index / blocks * p.slabs * p.sum_floats);
  });
}

// V vectors of the weights of one coarse channel: the sum of a few products.
template <int V>
void sum_few(const View& fine, const View& coarse, int64_t i, int64_t o, float* to, Mode mode) {
  vfloat sum[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) sum[v] = zero();
  const int64_t left = V > 1 ? V * lanes : fine.shape.c - i, pixels = coarse.shape.pixels();
  const float *f = fine.as<float>() + i, *g = coarse.as<float>() + o;
  for (int64_t x = 0; x < pixels; ++x, f += fine.pixel_stride, g += coarse.pixel_stride) {
    const vfloat diff = broadcast(*g);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[v] = fma(load_some(f + v * lanes, left - v * lanes), diff, sum[v]);
  }
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) put_some(to + i + v * lanes, sum[v], left - v * lanes, mode);
}

// A few pixels, each of a kernel of one tap: every weight is written once.
void multiply_few(const Correlation& c, const Arguments& a) {
  const View &fine = a.src[static_cast<size_t>(c.fine_operand)].view,
             &coarse = a.src[static_cast<size_t>(1 - c.fine_operand)].view;
  const Destination& dst = a.dst[0];
  const int64_t chunks = least(16, coarse.shape.c), channels = fine.shape.c;
  parallel_for(chunks, [&](int64_t chunk, int) {
    for (int64_t o = part(coarse.shape.c, chunk, chunks); o < part(coarse.shape.c, chunk + 1, chunks); ++o) {
      float* to = dst.view.at<float>(o, 0, 0);
      int64_t i = 0;
      for (; i + 8 * lanes <= channels; i += 8 * lanes) sum_few<8>(fine, coarse, i, o, to, dst.mode);
      for (; i < channels; i += lanes) sum_few<1>(fine, coarse, i, o, to, dst.mode);
    }
  });
}

}  // namespace

void correlate(const Correlation& c, const Arguments& a) {
  if (c.point.on && in_one_row(a)) {
    plain(a) && c.coarse.pixels() <= few_pixels ? multiply_few(c, a) : multiply(c, a);
    if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
    return;
  }
  const int64_t tap_groups = (c.kernel.h + c.tap_rows - 1) / c.tap_rows;
  float* slabs = reinterpret_cast<float*>(a.scratch);
  float* threads = slabs + (c.slabs > 1 ? c.slabs * c.weights() : 0);
  parallel_for(c.slabs * c.out_groups * c.in_groups * tap_groups, [&](int64_t index, int thread) {
    const int64_t slab = index % c.slabs, group = index / c.slabs % c.out_groups;
    const int64_t rest = index / c.slabs / c.out_groups, in_group = rest % c.in_groups, taps = rest / c.in_groups;
    Chunk chunk{};
    chunk.k0 = taps * c.tap_rows;
    chunk.k1 = least(chunk.k0 + c.tap_rows, c.kernel.h);
    chunk.o0 = part(c.coarse.c, group, c.out_groups);
    chunk.channels = part(c.coarse.c, group + 1, c.out_groups) - chunk.o0;
    chunk.i0 = in_group * c.in_group;
    chunk.fines = least(c.in_group, c.fine.c - chunk.i0);
    chunk.tap = c.dilation.w == 1 ? chunk.fines : c.tap_pitch;  // taps of a packed row adjoin
    chunk.run = c.run_pitch;
    chunk.sums_row = c.sums_row;
    chunk.sums = threads + thread * c.thread_floats();
    chunk.fine = chunk.sums + c.sum_floats;
    chunk.coarse = chunk.fine + c.fine_floats;
    run_chunk(c, a, chunk, slab);
    leave(c, a.dst[0], chunk, c.slabs > 1 ? slabs + slab * c.weights() : nullptr);
  });
  if (c.slabs > 1) add_slabs(a.dst[0], slabs, c.slabs);
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
