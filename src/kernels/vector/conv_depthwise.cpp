// Depthwise convolution (Howard et al. 2017, "MobileNets"): every channel has a kernel of its own, so that a vector of
// channels is the unit, and the sums of the definition are taken as they stand. It does little arithmetic for each
// byte: what counts is that maps are walked through in the order of memory, and each row is read while it is in a
// cache.
#include "kernels/vector/depthwise.hpp"
#include "kernels/vector/moments.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// A block of pixels that are computed together, a vector of channels at a time: its sums stay in registers, beside the
// weights where there are 32.
constexpr int block_rows = PIXELWISE_ISA_LEVEL == 2 ? 4 : 2, block_columns = 4;
constexpr int pixels_at_once = 4;  // of those that no block serves

// Neighbouring destination pixels that meet the same taps: the first tap's source pixel and weights of the first of
// them, the steps from tap to tap (row, column) and from pixel to pixel; where the sums go.
struct Run {
  const float *src, *weights, *bias;
  int64_t rows, columns;
  int64_t src_row, src_column, src_pixel, weights_row, weights_column;
  int64_t new_rows, src_step;  // rows of taps that the row before has not met; floats of a source pixel
  float* dst;
  const float *residual, *gate;
  int64_t dst_pixel, residual_pixel, gate_pixel;
  MomentsPart moments;
};

// Asks for what the next X pixels will be the first to read: the processor's own prefetcher loses track where a map has
// many channels (at 256 it reaches half the speed).
template <int X, int V>
[[gnu::always_inline]] inline void fetch_next(const Run& r, int64_t c) {
  for (int64_t ky = most(r.rows - r.new_rows, 0); ky < r.rows; ++ky) {
    const float* next = r.src + ky * r.src_row + (r.columns - 1) * r.src_column + X * r.src_pixel + c;
    for (int64_t x = 0; x < X * r.src_pixel; x += r.src_step) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) __builtin_prefetch(next + x + v * lanes);
    }
  }
}

// X pixels by V vectors of channels from c. Whole: the source is plain, and all lanes are channels.
template <int X, int V, bool Whole>
[[gnu::noinline]] void pixels(const Run& r, const Arguments& a, int64_t c, int64_t left) {
  vfloat sum[X][V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const vfloat bias = r.bias ? load_some(r.bias + c + v * lanes, left - v * lanes) : zero();
#pragma GCC unroll 4
    for (int x = 0; x < X; ++x) sum[x][v] = bias;
  }
  for (int64_t ky = 0; ky < r.rows; ++ky) {
    const float *src = r.src + ky * r.src_row + c, *weights = r.weights + ky * r.weights_row + c;
    for (int64_t kx = 0; kx < r.columns; ++kx, src += r.src_column, weights += r.weights_column) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const vfloat w = Whole ? load(weights + v * lanes) : load_some(weights, left);
#pragma GCC unroll 4
        for (int x = 0; x < X; ++x) {
          const float* pixel = src + x * r.src_pixel;
          sum[x][v] = fma(Whole ? load(pixel + v * lanes) : load_source(a.src[0], pixel - c, c, left), w, sum[x][v]);
        }
      }
    }
  }
  if (Whole) fetch_next<X, V>(r, c);
  if (r.moments) r.moments.add_tile(c, sum);
  const Writer write(a.dst[0]);
#pragma GCC unroll 4
  for (int x = 0; x < X; ++x) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t at = c + v * lanes;
      leave_vector(sum[x][v], a.epilogue, at, r.residual ? r.residual + x * r.residual_pixel + at : nullptr,
                   r.gate ? r.gate + x * r.gate_pixel + at : nullptr, write, r.dst + x * r.dst_pixel + at,
                   left - v * lanes);
    }
  }
}

// X pixels, channels from c.
template <int X>
void all_channels(const Run& r, const Arguments& a, int64_t c, int64_t channels) {
  if (a.src[0].plain()) {
    for (; channels - c >= 2 * lanes; c += 2 * lanes) pixels<X, 2, true>(r, a, c, channels - c);
    if (channels - c >= lanes) pixels<X, 1, true>(r, a, c, channels - c), c += lanes;
  }
  for (; c < channels; c += lanes) pixels<X, 1, false>(r, a, c, channels - c);
}

// `count` pixels, channels from c.
void run_pixels(Run r, const Arguments& a, int64_t count, int64_t c, int64_t channels) {
  const auto advance = [](const float*& p, int64_t pixel) {
    if (p) p += pixels_at_once * pixel;
  };
  for (int64_t x = 0; x < count; x += pixels_at_once) {
    with_constant<pixels_at_once>(least(pixels_at_once, count - x),
                                  [&]<int X>() { all_channels<X>(r, a, c, channels); });
    advance(r.src, r.src_pixel), advance(r.residual, r.residual_pixel), advance(r.gate, r.gate_pixel);
    r.dst += pixels_at_once * r.dst_pixel;
  }
}

// Row y of image n of the destination, channels from c.
void depthwise_row(const Depthwise& d, const Arguments& a, int64_t n, int64_t y, int64_t c,
                   const MomentsPart& moments) {
  const View &src = a.src[0].view, &weights = a.parameters[0], &dst = a.dst[0].view;
  const Epilogue& e = a.epilogue;
  const AxisPhase& h = d.h.phase[y % d.h.step];
  const int64_t q = y / d.h.step;
  const Taps rows = taps_of(h, d.h.stride, src.shape.h, q);
  const auto step = [](const AxisPhase& p, int64_t of_source) { return p.shift_step * of_source; };
  for (int64_t phase = 0; phase < d.w.phases; ++phase) {
    const AxisPhase& w = d.w.phase[phase];
    Run r{};
    r.bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
    r.src_row = step(h, src.row_stride), r.src_column = step(w, src.pixel_stride);
    r.src_pixel = d.w.stride * src.pixel_stride;
    r.new_rows = d.h.stride, r.src_step = src.pixel_stride;
    r.weights_row = h.tap_step * weights.row_stride, r.weights_column = w.tap_step * weights.pixel_stride;
    r.dst_pixel = d.w.step * dst.pixel_stride;
    r.residual_pixel = d.w.step * e.residual.pixel_stride, r.gate_pixel = d.w.step * e.gate.pixel_stride;
    for_columns(w, d.w.stride, src.shape.w, [&](int64_t first, const Taps& columns) {
      r.rows = rows.last - rows.first, r.columns = columns.last - columns.first;
      if (r.columns == 0) r.rows = 0;
      if (r.rows > 0) {
        r.src = src.at<float>(n, q * d.h.stride + h.first_shift + rows.first * h.shift_step,
                              first * d.w.stride + w.first_shift + columns.first * w.shift_step);
        r.weights =
            weights.at<float>(0, h.first_tap + rows.first * h.tap_step, w.first_tap + columns.first * w.tap_step);
      }
      const int64_t to = w.offset + first * d.w.step;
      r.dst = dst.at<float>(n, y, to);
      r.residual = e.residual ? e.residual.at<float>(n, y, to) : nullptr;
      r.gate = e.gate ? e.gate.at<float>(n, y, to) : nullptr;
      r.moments = moments;
      run_pixels(r, a, columns.end - first, c, dst.shape.c);
    });
  }
}

// Destination pixels, each `apart`-th of some rows and columns of a phase: what the first tap of the first of them
// reads, whether it lies in the map or not; where the sums go.
struct Block {
  const float *src, *weights, *bias;
  int64_t src_row, src_column, weights_row, weights_column;  // floats from tap to tap
  Span src_rows, src_columns;                                // those that lie in the map, counted from `src`
  float* dst;
  const float *residual, *gate;
  int64_t rows, columns;
  int64_t dst_row, dst_column, residual_row, residual_column, gate_row, gate_column;
  MomentsPart moments;
};

// The sums of channels [c, c + lanes) of a pixel leave.
[[gnu::noinline]] void leave(const Block& b, const Arguments& a, int64_t row, int64_t column, int64_t c, vfloat sum) {
  leave_vector(sum, a.epilogue, c,
               b.residual ? b.residual + row * b.residual_row + column * b.residual_column + c : nullptr,
               b.gate ? b.gate + row * b.gate_row + column * b.gate_column + c : nullptr, Writer(a.dst[0]),
               b.dst + row * b.dst_row + column * b.dst_column + c, lanes);
}

// What neighbouring pixels both read, Step taps apart, is loaded once. Whole: the block is, and reads no border.
template <int Rows, int Columns, int Step, bool Whole>
[[gnu::noinline]] void block(const Block& b, const Arguments& a, int64_t c, int64_t vectors) {
  constexpr int src_rows = (block_rows - 1) * Step + Rows, src_columns = (block_columns - 1) * Step + Columns;
  const float *scale = a.epilogue.scale ? a.epilogue.scale.as<float>() : nullptr,
              *shift = scale ? a.epilogue.shift.as<float>() : nullptr;
  const Activation act = a.epilogue.act;
  const Writer write(a.dst[0]);
  const bool direct = !b.residual && !b.gate && !write.add;
  const bool past = write.past && b.dst_row % lanes == 0 && b.dst_column % lanes == 0 &&
                    reinterpret_cast<uintptr_t>(b.dst) % vector_bytes == 0;
  for (const int64_t end = c + vectors * lanes; c < end; c += lanes) {
    vfloat sum[block_rows][block_columns], w[Rows][Columns];
    const vfloat bias = b.bias ? load(b.bias + c) : zero();
#pragma GCC unroll 4
    for (int y = 0; y < block_rows; ++y)
#pragma GCC unroll 4
      for (int x = 0; x < block_columns; ++x) sum[y][x] = bias;
#pragma GCC unroll 3
    for (int ky = 0; ky < Rows; ++ky)
#pragma GCC unroll 3
      for (int kx = 0; kx < Columns; ++kx)
        w[ky][kx] = load_once(b.weights + ky * b.weights_row + kx * b.weights_column + c);
    const float* row = b.src + c;
#pragma GCC unroll 16
    for (int i = 0; i < src_rows; ++i, row += b.src_row) {
      if (!Whole && (i < b.src_rows.first || i >= b.src_rows.last)) continue;
      const float* from = row;
#pragma GCC unroll 16
      for (int j = 0; j < src_columns; ++j, from += b.src_column) {
        if (!Whole && (j < b.src_columns.first || j >= b.src_columns.last)) continue;
        const vfloat value = load_once(from);
        // The next but one block's, into L2: the processor's own prefetcher does not follow so many rows of pixels.
        if (j >= src_columns - block_columns * Step)
          __builtin_prefetch(from + 2 * block_columns * Step * b.src_column, 0, 2);
#pragma GCC unroll 4
        for (int y = 0; y < block_rows; ++y) {
          const int ky = i - y * Step;
#pragma GCC unroll 4
          for (int x = 0; x < block_columns; ++x) {
            const int kx = j - x * Step;
            if (ky >= 0 && ky < Rows && kx >= 0 && kx < Columns) sum[y][x] = fma(value, w[ky][kx], sum[y][x]);
          }
        }
      }
    }
    const auto for_pixels = [&](const auto& fn) {
#pragma GCC unroll 4
      for (int y = 0; y < block_rows; ++y)
#pragma GCC unroll 4
        for (int x = 0; x < block_columns; ++x) {
          if (Whole || (y < b.rows && x < b.columns)) fn(y, x);
        }
    };
    if (b.moments) {
      Spread spread{sum[0][0]};
      for_pixels([&](int y, int x) { spread.add(sum[y][x]); });
      b.moments.add(c, spread, b.rows * b.columns);
    }
    if (!direct) {
      for_pixels([&](int y, int x) { leave(b, a, y, x, c, sum[y][x]); });
      continue;
    }
    if (scale) {
      const vfloat times = load(scale + c), plus = load(shift + c);
      for_pixels([&](int y, int x) { sum[y][x] = fma(sum[y][x], times, plus); });
    }
    if (act != Activation::none) for_pixels([&](int y, int x) { sum[y][x] = activate(sum[y][x], act); });
    float* to = b.dst + c;
    if (past)
      for_pixels([&](int y, int x) { stream(to + y * b.dst_row + x * b.dst_column, sum[y][x]); });
    else
      for_pixels([&](int y, int x) { store(to + y * b.dst_row + x * b.dst_column, sum[y][x]); });
  }
}

// fn.template operator()<Rows, Columns, Step>() for the taps that blocks serve: 3x3, one or two taps apart, and what of
// them the phases of a gradient have.
template <class Fn>
[[gnu::always_inline]] inline void with_taps(int64_t rows, int64_t columns, int64_t step, const Fn& fn) {
  if (rows == 3) return step == 2 ? fn.template operator()<3, 3, 2>() : fn.template operator()<3, 3, 1>();
  with_constant<2>(rows, [&]<int Rows>() {
    with_constant<2>(columns, [&]<int Columns>() { fn.template operator()<Rows, Columns, 1>(); });
  });
}
bool in_blocks(const Depthwise& d) {
  const Sharing down = sharing_of(d.h), across = sharing_of(d.w);
  if (down.step != across.step || down.step < 1 || down.step > 2) return false;
  for (int64_t i = 0; i < d.h.phases; ++i) {
    for (int64_t j = 0; j < d.w.phases; ++j) {
      const int64_t rows = d.h.phase[i].taps, columns = d.w.phase[j].taps;
      const bool part_of_them = down.step == 1 && rows >= 1 && rows <= 2 && columns >= 1 && columns <= 2;
      if (!part_of_them && (rows != 3 || columns != 3)) return false;
    }
  }
  return true;
}

// What is the same for all blocks of a phase.
Block block_of(const Depthwise& d, const Arguments& a, const AxisPhase& h, const AxisPhase& w, int64_t down,
               int64_t across) {
  const View &src = a.src[0].view, &weights = a.parameters[0], &dst = a.dst[0].view;
  const Epilogue& e = a.epilogue;
  Block b{};
  b.bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
  b.weights = weights.at<float>(0, h.first_tap, w.first_tap);
  b.weights_row = h.tap_step * weights.row_stride, b.weights_column = w.tap_step * weights.pixel_stride;
  b.src_row = h.shift_step * src.row_stride, b.src_column = w.shift_step * src.pixel_stride;
  down *= d.h.step, across *= d.w.step;
  b.dst_row = down * dst.row_stride, b.dst_column = across * dst.pixel_stride;
  b.residual_row = down * e.residual.row_stride, b.residual_column = across * e.residual.pixel_stride;
  b.gate_row = down * e.gate.row_stride, b.gate_column = across * e.gate.pixel_stride;
  return b;
}

// A block of rows of one row phase, from row q of the phase, image n: `vectors` vectors of channels from c.
void row_of_blocks(const Depthwise& d, const Arguments& a, const AxisPhase& h, const RowBlocks& blocks, int64_t n,
                   int64_t q, int64_t c, int64_t vectors, const MomentsPart& moments) {
  const View &src = a.src[0].view, &dst = a.dst[0].view;
  const Epilogue& e = a.epilogue;
  const int64_t rows = blocks.rows_before(h.count, q), y = q * d.h.stride + h.first_shift;
  if (rows == 0) return;
  const Sharing down = sharing_of(d.h), across = sharing_of(d.w);
  const int64_t src_rows = (rows - 1) * down.step + h.taps;
  const Span inside_rows = inside(0, src_rows, h.shift_step, y, src.shape.h);
  const bool whole_rows = rows == block_rows && inside_rows.first == 0 && inside_rows.last == src_rows;
  const RowBlocks groups(d.w, across.apart, block_columns);
  for (int64_t i = 0; i < groups.all(); ++i) {
    const int64_t first = groups.first(i);
    for (int64_t phase = 0; phase < d.w.phases; ++phase) {
      const AxisPhase& w = d.w.phase[phase];
      const int64_t columns = groups.rows_before(w.count, first), x = first * d.w.stride + w.first_shift;
      if (columns == 0) continue;
      Block b = block_of(d, a, h, w, down.apart, across.apart);
      const int64_t src_columns = (columns - 1) * across.step + w.taps;
      b.rows = rows, b.columns = columns, b.src_rows = inside_rows, b.moments = moments;
      b.src_columns = inside(0, src_columns, w.shift_step, x, src.shape.w);
      const int64_t to_y = h.offset + q * d.h.step, to_x = w.offset + first * d.w.step;
      b.src = src.at<float>(n, y, x), b.dst = dst.at<float>(n, to_y, to_x);
      b.residual = e.residual ? e.residual.at<float>(n, to_y, to_x) : nullptr;
      b.gate = e.gate ? e.gate.at<float>(n, to_y, to_x) : nullptr;
      const bool whole =
          whole_rows && columns == block_columns && b.src_columns.first == 0 && b.src_columns.last == src_columns;
      with_taps(h.taps, w.taps, down.step, [&]<int Rows, int Columns, int Step>() {
        whole ? block<Rows, Columns, Step, true>(b, a, c, vectors)
              : block<Rows, Columns, Step, false>(b, a, c, vectors);
      });
    }
  }
}

// All whole vectors of channels.
void depthwise_blocks(const Depthwise& d, const Arguments& a) {
  const Shape dst = a.dst[0].view.shape;
  const int64_t vectors = dst.c / lanes, groups = (vectors + vectors_at_once - 1) / vectors_at_once;
  const RowBlocks blocks(d.h, sharing_of(d.h).apart, block_rows);
  const int64_t items = groups * dst.n * blocks.all(), chunks = least(items, Depthwise::most_chunks);
  parallel_for(chunks, [&](int64_t chunk, int) {
    const MomentsPart moments = moments_part(d.moments, a, chunk);
    if (moments) moments.begin(0, vectors * lanes);
    for (int64_t item = part(items, chunk, chunks); item < part(items, chunk + 1, chunks); ++item) {
      const int64_t group = item / blocks.all() / dst.n, n = item / blocks.all() % dst.n;
      const int64_t first = part(vectors, group, groups), some = part(vectors, group + 1, groups) - first;
      for (int64_t phase = 0; phase < d.h.phases; ++phase)
        row_of_blocks(d, a, d.h.phase[phase], blocks, n, blocks.first(item % blocks.all()), first * lanes, some,
                      moments);
    }
  });
  leave_moments(d.moments, a, chunks, 0, vectors * lanes);
}

}  // namespace

void depthwise(const Depthwise& d, const Arguments& a) {
  const Shape dst = a.dst[0].view.shape;
  const bool blocks = a.src[0].plain() && in_blocks(d);
  if (blocks) depthwise_blocks(d, a);
  const int64_t rows = dst.n * dst.h, c = blocks ? dst.c / lanes * lanes : 0;
  if (c == dst.c) return;
  parallel_for(d.chunks, [&](int64_t chunk, int) {
    const MomentsPart moments = moments_part(d.moments, a, chunk);
    if (moments) moments.begin(c, dst.c - c);
    for (int64_t row = part(rows, chunk, d.chunks); row < part(rows, chunk + 1, d.chunks); ++row)
      depthwise_row(d, a, row / dst.h, row % dst.h, c, moments);
  });
  leave_moments(d.moments, a, d.chunks, c, dst.c);
}

}  // namespace pixelwise::PIXELWISE_ISA
