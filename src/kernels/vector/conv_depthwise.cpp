// Depthwise convolution (Howard et al. 2017, "MobileNets"): every channel has a kernel of its own, so that a vector of
// channels is the unit, and the sums of the definition are taken as they stand. It does little arithmetic for each
// byte: what counts is that maps are walked through in the order of memory, and each row is read while it is in a
// cache.
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_plan.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int pixels_at_once = 4;        // pixels that share what they load
constexpr int64_t vectors_at_once = 12;  // of channels: their weights stay in the L1 cache from pixel to pixel

int64_t round_to_vectors(int64_t channels) { return (channels + lanes - 1) / lanes * lanes; }

// The taps [first, last) of an axis that destination q meets inside the map; so do the pixels up to `end`.
struct Taps {
  int64_t first, last, end;
};
Taps taps_of(const AxisPhase& p, int64_t stride, int64_t extent, int64_t q) {
  const auto shift = [&](int64_t tap) { return p.first_shift + tap * p.shift_step; };
  // Tap t is inside for the pixels [enters(t), leaves(t)); both fall as t grows.
  const auto enters = [&](int64_t t) { return shift(t) >= 0 ? 0 : (stride - 1 - shift(t)) / stride; };
  const auto leaves = [&](int64_t t) { return shift(t) >= extent ? 0 : (extent - 1 - shift(t)) / stride + 1; };
  Taps taps{0, p.taps, p.count};
  for (; taps.first < p.taps && enters(taps.first) > q; ++taps.first) taps.end = least(p.count, enters(taps.first));
  while (taps.last > taps.first && leaves(taps.last - 1) <= q) --taps.last;
  if (taps.last > taps.first) taps.end = least(taps.end, leaves(taps.last - 1));
  return taps;
}

// fn(q, taps of the column) for every run of destination columns that meet the same taps.
template <class Fn>
[[gnu::always_inline]] inline void for_columns(const AxisPhase& p, int64_t stride, int64_t extent, const Fn& fn) {
  Taps taps{};
  for (int64_t q = 0; q < p.count; q = taps.end) {
    taps = taps_of(p, stride, extent, q);
    fn(q, taps);
  }
}

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

// Sums of channels [c, c + lanes) of pixel x leave.
[[gnu::noinline]] void leave(const Run& r, const Arguments& a, int64_t x, int64_t c, vfloat sum) {
  leave_vector(sum, a.epilogue, c, r.residual ? r.residual + x * r.residual_pixel + c : nullptr,
               r.gate ? r.gate + x * r.gate_pixel + c : nullptr, Writer(a.dst[0]), r.dst + x * r.dst_pixel + c, lanes);
}

// X pixels, Step taps apart, of a plain source, in `vectors` vectors of channels from c: what neighbouring pixels both
// read is loaded once.
template <int Rows, int Columns, int Step, int X>
[[gnu::noinline]] void shared_pixels(const Run& r, const Arguments& a, int64_t c, int64_t vectors, int64_t next) {
  const Epilogue& e = a.epilogue;
  const Writer write(a.dst[0]);
  const bool direct = !e.residual && !e.gate && !write.add;
  for (const int64_t end = c + vectors * lanes; c < end; c += lanes) {
    const float *src = r.src + c, *weights = r.weights + c;
    vfloat sum[X];
#pragma GCC unroll 4
    for (int i = 0; i < X; ++i) sum[i] = r.bias ? load(r.bias + c) : zero();
#pragma GCC unroll 3
    for (int ky = 0; ky < Rows; ++ky, src += r.src_row, weights += r.weights_row) {
      vfloat w[Columns];
#pragma GCC unroll 3
      for (int kx = 0; kx < Columns; ++kx) w[kx] = load(weights + kx * r.weights_column);
      const float* from = src;
#pragma GCC unroll 16
      for (int column = 0; column < (X - 1) * Step + Columns; ++column, from += r.src_column) {
        const vfloat value = load(from);
        if (ky >= Rows - Step && column >= Columns - Step) __builtin_prefetch(from + next);  // nobody has read this row
#pragma GCC unroll 4
        for (int i = 0; i < X; ++i) {
          const int kx = column - i * Step;
          if (kx >= 0 && kx < Columns) sum[i] = fma(value, w[kx], sum[i]);
        }
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < X; ++i) {
      if (!direct) {
        leave(r, a, i, c, sum[i]);
        continue;
      }
      if (e.scale) sum[i] = fma(sum[i], load(e.scale.as<float>() + c), load(e.shift.as<float>() + c));
      write(r.dst + i * r.dst_pixel + c, activate(sum[i], e.act), lanes);
    }
  }
}

// Each apart-th of the pixels, from the first + `offset`.
Run every(const Run& all, int64_t apart, int64_t offset) {
  Run r = all;
  if (r.src) r.src += offset * r.src_pixel, r.src_pixel *= apart;
  r.dst += offset * r.dst_pixel, r.dst_pixel *= apart;
  if (r.residual) r.residual += offset * r.residual_pixel, r.residual_pixel *= apart;
  if (r.gate) r.gate += offset * r.gate_pixel, r.gate_pixel *= apart;
  return r;
}

// How pixels `pixel` floats apart share taps `column` floats apart: every `apart`-th pixel is `step` taps further.
struct Sharing {
  int64_t apart, step;
};
Sharing sharing_of(int64_t columns, int64_t column, int64_t pixel) {
  if (columns <= 1) return {1, 1};
  const int64_t apart = column > pixel ? column / pixel : 1;
  return {apart, apart * pixel % column ? 0 : apart * pixel / column};
}

// fn.template operator()<Rows, Columns, Step>() for 1 to 3 of each of the first two, and pixels one or two taps apart.
template <class Fn>
[[gnu::always_inline]] inline void with_taps(int64_t rows, int64_t columns, int64_t step, const Fn& fn) {
  with_constant<3>(rows, [&]<int Rows>() {
    if (step == 2) return fn.template operator()<Rows, 3, 2>();
    with_constant<3>(columns, [&]<int Columns>() { fn.template operator()<Rows, Columns, 1>(); });
  });
}
bool has_taps(int64_t rows, int64_t columns, int64_t step) {
  return rows >= 1 && rows <= 3 && columns >= 1 && columns <= 3 && (step == 1 || (step == 2 && columns == 3));
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

// `count` pixels, all channels.
void run_pixels(Run r, const Arguments& a, int64_t count, int64_t channels) {
  if (r.columns == 1) r.src_column = r.src_pixel;
  int64_t c = 0;
  const Sharing sharing = sharing_of(r.columns, r.src_column, r.src_pixel);
  if (a.src[0].plain() && has_taps(r.rows, r.columns, sharing.step)) {
    const int64_t vectors = channels / lanes, blocks = (vectors + vectors_at_once - 1) / vectors_at_once;
    const int64_t apart = sharing.apart, group = pixels_at_once * apart, next = group * r.src_pixel;
    const int64_t grouped = count / group * group;
    with_taps(r.rows, r.columns, sharing.step, [&]<int Rows, int Columns, int Step>() {
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = part(vectors, b, blocks), some = part(vectors, b + 1, blocks) - first;
        for (int64_t x = 0; x < grouped; ++x) {
          if (x % group >= apart) continue;
          shared_pixels<Rows, Columns, Step, pixels_at_once>(every(r, apart, x), a, first * lanes, some, next);
        }
        for (int64_t x = grouped; x < count; ++x)
          shared_pixels<Rows, Columns, Step, 1>(every(r, 1, x), a, first * lanes, some, next);
      }
    });
    c = vectors * lanes;
  }
  for (int64_t x = 0; c < channels && x < count; x += pixels_at_once) {
    with_constant<pixels_at_once>(least(pixels_at_once, count - x),
                                  [&]<int X>() { all_channels<X>(every(r, 1, x), a, c, channels); });
  }
}

// Row y of image n of the destination.
void depthwise_row(const Depthwise& d, const Arguments& a, int64_t n, int64_t y) {
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
      run_pixels(r, a, columns.end - first, dst.shape.c);
    });
  }
}

// The weight gradient: what neighbouring pixels of the coarse map add to the sums of a few taps, in steps as above.
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
void add_taps(const Products& all, const Source& fine, const Source& coarse, int64_t rows, int64_t columns) {
  const int64_t channels = fine.view.shape.c, down = (rows + 2) / 3, across = (columns + 2) / 3;
  const bool plain = fine.plain() && coarse.plain();
  for (int64_t i = 0; i < down * across; ++i) {
    const int64_t ky = part(rows, i / across, down), kx = part(columns, i % across, across);
    Products p = all;
    p.fine += ky * p.fine_row + kx * p.fine_column;
    p.sums += ky * p.sums_row + kx * p.sums_column;
    with_constant<3>(part(rows, i / across + 1, down) - ky, [&]<int Rows>() {
      with_constant<3>(part(columns, i % across + 1, across) - kx, [&]<int Columns>() {
        int64_t c = 0;
        for (; plain && channels - c >= lanes; c += lanes) add_products<Rows, Columns, true>(p, fine, coarse, c, lanes);
        for (; c < channels; c += lanes) add_products<Rows, Columns, false>(p, fine, coarse, c, channels - c);
      });
    });
  }
}

// Row q of image n of the coarse map; `sums` are [tap row][tap column][channel, padded to vectors].
void add_row(const Depthwise& d, const Source& fine, const Source& coarse, int64_t n, int64_t q, float* sums) {
  const AxisPhase &h = d.h.phase[0], &w = d.w.phase[0];
  const int64_t channels = fine.view.shape.c;
  const int64_t at_once = most(16, 1024 / channels);  // pixels whose products share a load and a store of the sums
  const Taps rows = taps_of(h, d.h.stride, fine.view.shape.h, q);
  if (rows.last <= rows.first) return;
  Products p{};
  p.fine_row = h.shift_step * fine.view.row_stride, p.fine_column = w.shift_step * fine.view.pixel_stride;
  p.fine_pixel = d.w.stride * fine.view.pixel_stride, p.coarse_pixel = coarse.view.pixel_stride;
  p.sums_column = round_to_vectors(channels), p.sums_row = w.taps * p.sums_column;
  for_columns(w, d.w.stride, fine.view.shape.w, [&](int64_t first, const Taps& columns) {
    if (columns.last <= columns.first) return;
    p.sums = sums + rows.first * p.sums_row + columns.first * p.sums_column;
    for (int64_t x = first; x < columns.end; x += at_once) {
      p.pixels = least(at_once, columns.end - x);
      p.fine = fine.view.at<float>(n, q * d.h.stride + h.first_shift + rows.first * h.shift_step,
                                   x * d.w.stride + w.first_shift + columns.first * w.shift_step);
      p.coarse = coarse.view.at<float>(n, q, x);
      add_taps(p, fine, coarse, rows.last - rows.first, columns.last - columns.first);
    }
  });
}

}  // namespace

void depthwise(const Depthwise& d, const Arguments& a) {
  const Shape dst = a.dst[0].view.shape;
  const int64_t rows = dst.n * dst.h;
  parallel_for(d.chunks, [&](int64_t chunk, int) {
    for (int64_t row = part(rows, chunk, d.chunks); row < part(rows, chunk + 1, d.chunks); ++row)
      depthwise_row(d, a, row / dst.h, row % dst.h);
  });
}

// diff_w(k, c) = sum over coarse pixels of fine * coarse: in floats over the rows of a chunk, in doubles over the
// chunks.
void depthwise_weights(const Depthwise& d, const Arguments& a) {
  const Source &fine = a.src[static_cast<size_t>(d.fine_operand)],
               &coarse = a.src[static_cast<size_t>(1 - d.fine_operand)];
  const Shape map = coarse.view.shape;
  const int64_t rows = map.n * map.h, taps = d.h.phase[0].taps * d.w.phase[0].taps, pitch = round_to_vectors(map.c);
  float* sums = reinterpret_cast<float*>(a.scratch);
  parallel_for(d.chunks, [&](int64_t chunk, int) {
    float* own = sums + chunk * taps * pitch;
    std::memset(own, 0, static_cast<size_t>(taps * pitch) * sizeof(float));
    for (int64_t row = part(rows, chunk, d.chunks); row < part(rows, chunk + 1, d.chunks); ++row)
      add_row(d, fine, coarse, row / map.h, row % map.h, own);
  });
  parallel_for(taps * (pitch / lanes), [&](int64_t index, int) {
    const int64_t tap = index % taps, c = index / taps * lanes, count = least(lanes, map.c - c);
    double sum[lanes] = {};
    for (int64_t chunk = 0; chunk < d.chunks; ++chunk) {
      const vfloat part_sum = load(sums + (chunk * taps + tap) * pitch + c);
      for (int i = 0; i < lanes; ++i) sum[i] += static_cast<double>(part_sum[i]);
    }
    float* to = a.dst[0].view.at<float>(0, tap / d.w.phase[0].taps, tap % d.w.phase[0].taps) + c;
    for (int64_t i = 0; i < count; ++i)
      to[i] = static_cast<float>(a.dst[0].mode == Mode::add ? static_cast<double>(to[i]) + sum[i] : sum[i]);
  });
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
