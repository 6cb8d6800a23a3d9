// Convolution of a map of few channels, a photo's three: where a channel is no vector, the taps of a kernel's row are
// one run of (column, channel) in memory, and vectors hold the other map's channels.
#include "kernels/vector/conv_outer.hpp"
#include "kernels/vector/conv_tile.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int64_t block = 2 * lanes;  // results of a pixel that are summed together

// One vector wide where that is enough.
int64_t width_at(const FewChannels& f, int64_t o0) { return f.coarse.c - o0 <= lanes ? lanes : block; }

// Rows [q0, q1) of the coarse map, and what they read of the fine map, with its border, densely.
struct Band {
  int64_t n, q0, q1;
  const float* fine;
  MomentsPart moments;
};
Band pack_band(const FewChannels& f, const Source& fine, int64_t index, float* to) {
  const int64_t q0 = index % f.bands * f.rows;
  const Band band{index / f.bands, q0, least(q0 + f.rows, f.coarse.h), to, {}};
  const int64_t rows = (band.q1 - q0 - 1) * f.stride.h + f.kernel.h;
  pack_rectangle(fine, band.n, q0 * f.stride.h - f.pad.h, rows, -f.pad.w, f.columns(), 0, f.fine.c, to);
  return band;
}

// M pixels, `step` floats apart, by V vectors of results: bias + the sum over `rows` runs of taps, `row` floats apart.
// (The bits are those of implicit_gemm.)
template <int M, int V>
[[gnu::noinline, gnu::aligned(64)]] void sum_runs(const float* x, int64_t step, int64_t row, int64_t rows, int64_t run,
                                                  const float* weights, const float* bias, const Results& r) {
  vfloat c[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) c[m][v] = zero();
  expect_results<M, V>(r);
  for (int64_t ky = 0; ky < rows; ++ky, x += row) {
    Columns a(x, step);
    for (int64_t k = 0; k < run; ++k, a.next(), weights += V * lanes) {
      vfloat w[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) w[v] = load(weights + v * lanes);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const vfloat pixel = broadcast(a[m]);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) c[m][v] = fma(pixel, w[v], c[m][v]);
      }
    }
  }
  for_vectors<M, V>([&](int m, int v) { c[m][v] = load(bias + v * lanes) + c[m][v]; });
  if (r.moments) r.moments.add_tile(r.channel, c);
  float* to = r.to;
  const int64_t pixel = r.pixel;
  if (r.scale || r.act != Activation::none || r.last < lanes)
    for_vectors<M, V>([&](int m, int v) { leave_result(r, m, v, v + 1 == V, c[m][v]); });
  else if (r.past)
    for_vectors<M, V>([&](int m, int v) { stream(to + m * pixel + v * lanes, c[m][v]); });
  else
    for_vectors<M, V>([&](int m, int v) { store(to + m * pixel + v * lanes, c[m][v]); });
}

// What is added, gated or added to is left in `sums` first.
void leave_sums(const FewChannels& f, const Arguments& a, int64_t n, int64_t y, int64_t x, int64_t pixels, int64_t o0,
                const float* sums) {
  const Epilogue& e = a.epilogue;
  const int64_t width = width_at(f, o0);
  for (int64_t m = 0; m < pixels; ++m, sums += width) {
    const auto at = [&](const View& view) { return view ? view.at<float>(n, y, x + m) + o0 : nullptr; };
    float *residual = at(e.residual), *gate = at(e.gate), *dst = at(a.dst[0].view);
    for (int64_t o = 0; o < least(width, f.coarse.c - o0); o += lanes)
      leave_vector(load(sums + o), e, o0 + o, residual ? residual + o : nullptr, gate ? gate + o : nullptr,
                   Writer(a.dst[0]), dst + o, f.coarse.c - o0 - o);
  }
}

void convolve_row(const FewChannels& f, const Arguments& a, const Band& band, int64_t q, const PerChannel& padded,
                  float* sums) {
  const View& dst = a.dst[0].view;
  const Epilogue& e = a.epilogue;
  const bool direct = leaves_directly(a), past = streams(a);
  const int64_t row = f.columns() * f.fine.c, step = f.stride.w * f.fine.c, taps = f.kernel.h * f.run();
  const float* from = band.fine + (q - band.q0) * f.stride.h * row;
  const int64_t tiles = (f.coarse.w + tile_rows - 1) / tile_rows;
  for (int64_t o0 = 0; o0 < f.coarse.c; o0 += block) {
    const int64_t width = width_at(f, o0), last = least(lanes, f.coarse.c - o0 - (width - lanes));
    const float* weights = reinterpret_cast<const float*>(a.packed) + o0 * taps;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t x = part(f.coarse.w, t, tiles), pixels = part(f.coarse.w, t + 1, tiles) - x;
      const Results to = direct ? Results{dst.at<float>(band.n, q, x) + o0,
                                          dst.pixel_stride,
                                          last,
                                          e.scale ? padded.scale + o0 : nullptr,
                                          padded.shift + o0,
                                          e.act,
                                          past,
                                          band.moments,
                                          o0}
                                : Results{sums, width, lanes, nullptr, nullptr, Activation::none, false, {}, 0};
      with_constant<tile_rows>(pixels, [&]<int M>() {
        width == lanes ? sum_runs<M, 1>(from + x * step, step, row, f.kernel.h, f.run(), weights, padded.bias + o0, to)
                       : sum_runs<M, 2>(from + x * step, step, row, f.kernel.h, f.run(), weights, padded.bias + o0, to);
      });
      if (!direct) leave_sums(f, a, band.n, q, x, pixels, o0, sums);
    }
  }
}

// Some pixels of a row of the coarse map, whole vectors of channels: where they are, or packed.
Pixels coarse_pixels(const FewChannels& f, const Source& coarse, int64_t n, int64_t q, int64_t x, int64_t columns,
                     float* packed) {
  Pixels p{};
  p.rows = 1, p.columns = columns, p.fine_block = block;
  p.fine = coarse.view.at<float>(n, q, x), p.fine_step = coarse.view.pixel_stride;
  if (coarse.plain() && f.coarse.c % lanes == 0) {
    p.fine_next = columns * p.fine_step;
    return p;
  }
  const float* from = p.fine;
  p.fine = packed, p.fine_step = round_to(f.coarse.c, lanes);
  for (int64_t i = 0; i < columns; ++i, from += coarse.view.pixel_stride, packed += p.fine_step) {
    for (int64_t o = 0; o < f.coarse.c; o += lanes) store(packed + o, load_source(coarse, from, o, f.coarse.c - o));
  }
  return p;
}

// sums(ky, (kx, c), o) += the products of row q.
void correlate_row(const FewChannels& f, const Source& coarse, const Band& band, int64_t q, float* packed,
                   float* sums) {
  const int64_t row = f.columns() * f.fine.c, step = f.stride.w * f.fine.c, sums_row = round_to(f.coarse.c, block);
  const int64_t parts = (f.coarse.w + outer_pixels - 1) / outer_pixels;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t x = part(f.coarse.w, i, parts);
    Pixels p = coarse_pixels(f, coarse, band.n, q, x, part(f.coarse.w, i + 1, parts) - x, packed);
    p.coarse_step = step;
    for (int64_t ky = 0; ky < f.kernel.h; ++ky, p.fine_next = 0) {
      p.coarse = band.fine + ((q - band.q0) * f.stride.h + ky) * row + x * step;
      outer_run(p, f.coarse.c, f.run(), sums + ky * f.run() * sums_row, sums_row);
    }
  }
}

// diff_w(o, ky, kx, c) = the sum of all slabs' sums(ky, (kx, c), o), in order.
void leave_weights(const FewChannels& f, const Destination& dst, const float* slabs) {
  const int64_t sums_row = round_to(f.coarse.c, block), slab = f.sum_floats();
  parallel_for(f.kernel.h * f.run(), [&](int64_t tap, int) {
    const int64_t ky = tap / f.run(), kx = tap % f.run() / f.fine.c, c = tap % f.fine.c;
    for (int64_t o = 0; o < f.coarse.c; o += lanes) {
      vfloat sum = zero();
      for (int64_t s = 0; s < f.slabs; ++s) sum = sum + load(slabs + s * slab + tap * sums_row + o);
      for (int64_t i = 0; i < least(lanes, f.coarse.c - o); ++i) {
        float& to = dst.view.at<float>(o + i, ky, kx)[c];
        to = dst.mode == Mode::add ? to + sum[i] : sum[i];
      }
    }
  });
}

}  // namespace

// [block of results][tap row][(tap column, channel)][lane], 0 in lanes past the last result.
void few_channels_pack(const FewChannels& f, const Arguments& a) {
  const View& weights = a.parameters[0];
  float* to = reinterpret_cast<float*>(a.packed);
  for (int64_t o0 = 0; o0 < f.coarse.c; o0 += block) {
    for (int64_t ky = 0; ky < f.kernel.h; ++ky) {
      for (int64_t k = 0; k < f.run(); ++k) {
        for (int64_t o = o0; o < o0 + width_at(f, o0); ++o)
          *to++ = o < f.coarse.c ? weights.at<float>(o, ky, k / f.fine.c)[k % f.fine.c] : 0;
      }
    }
  }
}

void few_channels(const FewChannels& f, const Arguments& a) {
  parallel_for(f.coarse.n * f.bands, [&](int64_t index, int thread) {
    float *scratch = reinterpret_cast<float*>(a.scratch) + thread * f.thread_floats(),
          *sums = scratch + f.fine_floats();
    Band band = pack_band(f, a.src[0], index, scratch);
    band.moments = moments_part(f.moments, a, index);
    if (band.moments) band.moments.begin(0, round_to(f.coarse.c, block));
    const PerChannel padded = pad_channels(a, round_to(f.coarse.c, block), sums + tile_rows * block);
    for (int64_t q = band.q0; q < band.q1; ++q) convolve_row(f, a, band, q, padded, sums);
  });
  leave_moments(f.moments, a);
}

void few_channels_weights(const FewChannels& f, const Arguments& a) {
  float *slabs = reinterpret_cast<float*>(a.scratch), *threads = slabs + f.slabs * f.sum_floats();
  const int64_t bands = f.coarse.n * f.bands;
  parallel_for(f.slabs, [&](int64_t slab, int thread) {
    float *scratch = threads + thread * f.thread_floats(), *sums = slabs + slab * f.sum_floats();
    std::memset(sums, 0, static_cast<size_t>(f.sum_floats()) * sizeof(float));
    for (int64_t i = part(bands, slab, f.slabs); i < part(bands, slab + 1, f.slabs); ++i) {
      const Band band = pack_band(f, a.src[0], i, scratch);
      for (int64_t q = band.q0; q < band.q1; ++q) correlate_row(f, a.src[1], band, q, scratch + f.fine_floats(), sums);
    }
  });
  leave_weights(f, a.dst[0], slabs);
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
