// The weight gradient of a depthwise convolution: for each vector of channels and each tap, a sum of products over all
// pixels. Of 3x3 taps all nine sums stay in registers, and four rows of the coarse map share what they read of the fine
// one.
#include "kernels/vector/depthwise.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int block_rows = 4;           // of the coarse map: they share the rows of the fine map
constexpr int64_t pixels_at_once = 64;  // whose products share a load and a store of the sums
constexpr int64_t pixels_ahead = 16;    // that are asked for, into L2

// What neighbouring pixels of the coarse map add to the sums of a few taps: steps from tap to tap and from pixel to
// pixel.
struct Products {
  const float *fine, *coarse;
  float* sums;
  int64_t pixels, fine_row, fine_column, fine_pixel, coarse_pixel, sums_row, sums_column;
};

// sums(tap, c..) += sum over pixels of fine * coarse, for one vector of channels.
template <int Rows, int Columns, bool Whole>
[[gnu::noinline]] void add_products(const Products& p, const Source& fine, const Source& coarse, int64_t c,
                                    int64_t left) {
  vfloat sum[Rows][Columns];
#pragma GCC unroll 3
  for (int ky = 0; ky < Rows; ++ky)
#pragma GCC unroll 3
    for (int kx = 0; kx < Columns; ++kx) sum[ky][kx] = load(p.sums + ky * p.sums_row + kx * p.sums_column + c);
  const auto value = [&](const Source& s, const float* pixel) {
    return Whole ? load(pixel + c) : load_source(s, pixel, c, left);
  };
  const float *f = p.fine, *g = p.coarse;
  for (int64_t x = 0; x < p.pixels; ++x, f += p.fine_pixel, g += p.coarse_pixel) {
    const vfloat diff = value(coarse, g);
    if (Whole) {  // the next pixels of the two rows that are new
      __builtin_prefetch(g + p.pixels * p.coarse_pixel + c);
      __builtin_prefetch(f + (Rows - 1) * p.fine_row + (Columns - 1) * p.fine_column + p.pixels * p.fine_pixel + c);
    }
#pragma GCC unroll 3
    for (int ky = 0; ky < Rows; ++ky)
#pragma GCC unroll 3
      for (int kx = 0; kx < Columns; ++kx)
        sum[ky][kx] = fma(value(fine, f + ky * p.fine_row + kx * p.fine_column), diff, sum[ky][kx]);
  }
#pragma GCC unroll 3
  for (int ky = 0; ky < Rows; ++ky)
#pragma GCC unroll 3
    for (int kx = 0; kx < Columns; ++kx) store(p.sums + ky * p.sums_row + kx * p.sums_column + c, sum[ky][kx]);
}

// At most 3x3 taps at a time stay in registers.
void add_taps(const Products& all, const Source& fine, const Source& coarse, Span channels, int64_t rows,
              int64_t columns) {
  const int64_t down = (rows + 2) / 3, across = (columns + 2) / 3;
  const bool plain = fine.plain() && coarse.plain();
  for (int64_t i = 0; i < down * across; ++i) {
    const int64_t ky = part(rows, i / across, down), kx = part(columns, i % across, across);
    Products p = all;
    p.fine += ky * p.fine_row + kx * p.fine_column;
    p.sums += ky * p.sums_row + kx * p.sums_column;
    with_constant<3>(part(rows, i / across + 1, down) - ky, [&]<int Rows>() {
      with_constant<3>(part(columns, i % across + 1, across) - kx, [&]<int Columns>() {
        for (int64_t c = channels.first; c < channels.last; c += lanes) {
          const int64_t left = channels.last - c;
          if (plain && left >= lanes)
            add_products<Rows, Columns, true>(p, fine, coarse, c, left);
          else
            add_products<Rows, Columns, false>(p, fine, coarse, c, left);
        }
      });
    });
  }
}

// Some channels of row q of image n of the coarse map; `sums` are [tap row][tap column][channel, padded to vectors].
void add_row(const Depthwise& d, const Source& fine, const Source& coarse, int64_t n, int64_t q, Span channels,
             float* sums) {
  const AxisPhase &h = d.h.phase[0], &w = d.w.phase[0];
  const int64_t at_once = most(pixels_at_once, 1024 / (channels.last - channels.first));
  const Taps rows = taps_of(h, d.h.stride, fine.view.shape.h, q);
  if (rows.last <= rows.first) return;
  Products p{};
  p.fine_row = h.shift_step * fine.view.row_stride, p.fine_column = w.shift_step * fine.view.pixel_stride;
  p.fine_pixel = d.w.stride * fine.view.pixel_stride, p.coarse_pixel = coarse.view.pixel_stride;
  p.sums_column = round_to(fine.view.shape.c, lanes), p.sums_row = w.taps * p.sums_column;
  for_columns(w, d.w.stride, fine.view.shape.w, [&](int64_t first, const Taps& columns) {
    if (columns.last <= columns.first) return;
    p.sums = sums + rows.first * p.sums_row + columns.first * p.sums_column;
    for (int64_t x = first; x < columns.end; x += at_once) {
      p.pixels = least(at_once, columns.end - x);
      p.fine = fine.view.at<float>(n, q * d.h.stride + h.first_shift + rows.first * h.shift_step,
                                   x * d.w.stride + w.first_shift + columns.first * w.shift_step);
      p.coarse = coarse.view.at<float>(n, q, x);
      add_taps(p, fine, coarse, channels, rows.last - rows.first, columns.last - columns.first);
    }
  });
}

// Each `apart`-th of some rows and columns of the coarse map, and what they read of the fine map, from the first tap of
// the first of them on, whether it lies in the map or not. 3x3 taps.
struct Block {
  const float *fine, *coarse;
  float* sums;
  int64_t rows, columns;         // of the coarse map
  Span fine_rows, fine_columns;  // those that lie in the map, counted from `fine`
  int64_t fine_row, fine_column, coarse_row, coarse_column, sums_tap;
};

// What the fine columns meet that column t of the coarse map is the first to read, counted from the left: with tap kx,
// column t - kx / Step. `window` holds those columns, the newest first. Inner: all of them lie in the map.
template <int Step, bool Whole, bool Inner, int Columns>
[[gnu::always_inline]] inline void add_column(const Block& b, int64_t t, int64_t c,
                                              const vfloat (&window)[Columns][block_rows], vfloat (&sum)[3][3]) {
  const float* column = b.fine + t * Step * b.fine_column + c;
#pragma GCC unroll 2
  for (int j = 0; j < Step; ++j, column += b.fine_column) {
    if (!Inner && (t * Step + j < b.fine_columns.first || t * Step + j >= b.fine_columns.last)) continue;
    const float* from = column;
#pragma GCC unroll 16
    for (int i = 0; i < (block_rows - 1) * Step + 3; ++i, from += b.fine_row) {
      if (!Whole && (i < b.fine_rows.first || i >= b.fine_rows.last)) continue;
      const vfloat value = load_once(from);
      if (Inner) __builtin_prefetch(from + pixels_ahead * Step * b.fine_column, 0, 2);
#pragma GCC unroll 4
      for (int y = 0; y < block_rows; ++y) {
        const int ky = i - y * Step;
#pragma GCC unroll 3
        for (int kx = j; kx < 3; kx += Step) {
          if (ky >= 0 && ky < 3) sum[ky][kx] = fma(value, window[kx / Step][y], sum[ky][kx]);
        }
      }
    }
  }
}

// sums(tap, c..) += sum over pixels of fine * coarse, for one vector of channels, and what the columns [first, last) of
// the coarse map are the first to read: some lie to the right of it. Every value is loaded once. Whole: there are all
// rows, and all rows of taps meet the map.
template <int Step, bool Whole>
[[gnu::noinline]] void add_block(const Block& b, int64_t c, int64_t first, int64_t last) {
  constexpr int columns = 2 / Step + 1;
  vfloat sum[3][3], window[columns][block_rows];
  const auto coarse = [&](int64_t t, int y) {
    const bool there = t >= 0 && t < b.columns && (Whole || y < b.rows);
    return there ? load_once(b.coarse + y * b.coarse_row + t * b.coarse_column + c) : zero();
  };
#pragma GCC unroll 3
  for (int ky = 0; ky < 3; ++ky)
#pragma GCC unroll 3
    for (int kx = 0; kx < 3; ++kx) sum[ky][kx] = load(b.sums + (3 * ky + kx) * b.sums_tap + c);
#pragma GCC unroll 3
  for (int k = 1; k < columns; ++k)
#pragma GCC unroll 4
    for (int y = 0; y < block_rows; ++y) window[k][y] = coarse(first - k, y);
  for (int64_t t = first; t < last; ++t) {
    const bool inner = t < b.columns && t * Step >= b.fine_columns.first && (t + 1) * Step <= b.fine_columns.last;
    if (inner) {
      const float* newest = b.coarse + t * b.coarse_column + c;
#pragma GCC unroll 4
      for (int y = 0; y < block_rows; ++y) {
        window[0][y] = Whole || y < b.rows ? load_once(newest + y * b.coarse_row) : zero();
        if (Whole) __builtin_prefetch(newest + y * b.coarse_row + pixels_ahead * b.coarse_column, 0, 2);
      }
      add_column<Step, Whole, true>(b, t, c, window, sum);
    } else {
#pragma GCC unroll 4
      for (int y = 0; y < block_rows; ++y) window[0][y] = coarse(t, y);
      add_column<Step, Whole, false>(b, t, c, window, sum);
    }
#pragma GCC unroll 3
    for (int k = columns - 1; k > 0; --k)
#pragma GCC unroll 4
      for (int y = 0; y < block_rows; ++y) window[k][y] = window[k - 1][y];
  }
#pragma GCC unroll 3
  for (int ky = 0; ky < 3; ++ky)
#pragma GCC unroll 3
    for (int kx = 0; kx < 3; ++kx) store(b.sums + (3 * ky + kx) * b.sums_tap + c, sum[ky][kx]);
}

bool in_blocks(const Depthwise& d) {
  const Sharing down = sharing_of(d.h), across = sharing_of(d.w);
  return d.h.phase[0].taps == 3 && d.w.phase[0].taps == 3 && down.step == across.step &&
         (down.step == 1 || down.step == 2);
}

// A block of rows of image n from row q of the coarse map; whole vectors of channels.
void add_rows(const Depthwise& d, const View& fine, const View& coarse, const RowBlocks& blocks, int64_t n, int64_t q,
              Span channels, float* sums) {
  const AxisPhase &h = d.h.phase[0], &w = d.w.phase[0];
  const Sharing down = sharing_of(d.h), across = sharing_of(d.w);
  Block b{};
  b.rows = blocks.rows_before(h.count, q);
  const int64_t y = q * d.h.stride + h.first_shift, fine_rows = (b.rows - 1) * down.step + 3;
  b.fine_rows = inside(0, fine_rows, h.shift_step, y, fine.shape.h);
  b.sums = sums, b.sums_tap = round_to(fine.shape.c, lanes);
  b.fine_row = h.shift_step * fine.row_stride, b.fine_column = w.shift_step * fine.pixel_stride;
  b.coarse_row = down.apart * coarse.row_stride, b.coarse_column = across.apart * coarse.pixel_stride;
  const bool whole = b.rows == block_rows && b.fine_rows.first == 0 && b.fine_rows.last == fine_rows;
  for (int64_t left = 0; left < least(across.apart, w.count); ++left) {
    b.columns = (w.count - left + across.apart - 1) / across.apart;
    const int64_t x = left * d.w.stride + w.first_shift, all = b.columns + 2 / across.step;
    b.fine_columns = inside(0, (b.columns - 1) * across.step + 3, w.shift_step, x, fine.shape.w);
    b.fine = fine.at<float>(n, y, x), b.coarse = coarse.at<float>(n, q, left);
    const int64_t parts = (all + pixels_at_once - 1) / pixels_at_once;
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t first = part(all, i, parts), last = part(all, i + 1, parts);
      for (int64_t c = channels.first; c < channels.last; c += lanes) {
        if (down.step == 2)
          whole ? add_block<2, true>(b, c, first, last) : add_block<2, false>(b, c, first, last);
        else
          whole ? add_block<1, true>(b, c, first, last) : add_block<1, false>(b, c, first, last);
      }
    }
  }
}

// Channels [c, end) of dst = the sums of `slabs` slabs, [tap][channel, padded to vectors] each, in doubles.
void leave(const Depthwise& d, const Destination& dst, const float* sums, int64_t slabs, int64_t c, int64_t end) {
  const int64_t columns = d.w.phase[0].taps, taps = d.h.phase[0].taps * columns, channels = dst.view.shape.c;
  const int64_t pitch = round_to(channels, lanes);
  for (int64_t tap = 0; tap < taps; ++tap) {
    float* to = dst.view.at<float>(0, tap / columns, tap % columns);
    for (int64_t i = c; i < least(end, channels); i += lanes) {
      double sum[lanes] = {};
      for (int64_t slab = 0; slab < slabs; ++slab) {
        const vfloat part_sum = load(sums + (slab * taps + tap) * pitch + i);
        for (int j = 0; j < lanes; ++j) sum[j] += static_cast<double>(part_sum[j]);
      }
      for (int64_t j = 0; j < least(lanes, channels - i); ++j)
        to[i + j] = static_cast<float>(dst.mode == Mode::add ? static_cast<double>(to[i + j]) + sum[j] : sum[j]);
    }
  }
}

}  // namespace

// diff_w(k, c) = sum over coarse pixels of fine * coarse: in floats over the rows of a slab, in doubles over the slabs.
void depthwise_weights(const Depthwise& d, const Arguments& a) {
  const Source &fine = a.src[static_cast<size_t>(d.fine_operand)],
               &coarse = a.src[static_cast<size_t>(1 - d.fine_operand)];
  const Shape map = coarse.view.shape;
  const RowBlocks blocks(d.h, sharing_of(d.h).apart, block_rows);
  const int64_t taps = d.h.phase[0].taps * d.w.phase[0].taps, pitch = round_to(map.c, lanes);
  const int64_t rows = map.n * map.h, row_blocks = map.n * blocks.all(), vectors = pitch / lanes;
  const int64_t in_whole_vectors = fine.plain() && coarse.plain() && in_blocks(d) ? map.c / lanes * lanes : 0;
  // Few slabs: the channels are shared out, too, in groups that are equal for most numbers of channels.
  const int64_t slabs = d.slabs, at_least = (vectors + vectors_at_once - 1) / vectors_at_once;
  const int64_t groups = least(vectors, most(at_least, 12 / slabs));
  float* sums = reinterpret_cast<float*>(a.scratch);
  parallel_for(slabs * groups, [&](int64_t chunk, int) {
    const int64_t slab = chunk / groups, group = chunk % groups;
    const int64_t c = part(vectors, group, groups) * lanes, end = part(vectors, group + 1, groups) * lanes;
    const int64_t split = most(c, least(end, in_whole_vectors));
    float* own = sums + slab * taps * pitch;
    for (int64_t tap = 0; tap < taps; ++tap)
      std::memset(own + tap * pitch + c, 0, static_cast<size_t>(end - c) * sizeof(float));
    for (int64_t i = part(row_blocks, slab, slabs); c < split && i < part(row_blocks, slab + 1, slabs); ++i)
      add_rows(d, fine.view, coarse.view, blocks, i / blocks.all(), blocks.first(i % blocks.all()), {c, split}, own);
    for (int64_t row = part(rows, slab, slabs); split < end && row < part(rows, slab + 1, slabs); ++row)
      add_row(d, fine, coarse, row / map.h, row % map.h, {split, least(end, map.c)}, own);
    if (slabs == 1) leave(d, a.dst[0], sums, 1, c, end);
  });
  if (slabs > 1) {
    parallel_for(pitch / lanes,
                 [&](int64_t index, int) { leave(d, a.dst[0], sums, slabs, index * lanes, (index + 1) * lanes); });
  }
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
