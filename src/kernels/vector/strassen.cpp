// 1x1 convolutions of many channels by Strassen's algorithm (1969, "Gaussian elimination is not optimal"): the product
// of two matrices of 2x2 parts,
//   C11 C12   A11 A12   B11 B12
//   C21 C22 = A21 A22 x B21 B22,
// by seven products of parts instead of eight. The sums of parts are made where they cost little (Huang et al. 2016,
// "Strassen's algorithm reloaded"): those of the pixels when a band is brought into the L2 cache, those of the weights
// when they are packed, and those of the result from registers.
#include "kernels/vector/strassen.hpp"

#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_tile.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// Source channels [c0, c0 + first + second) of a block, in two halves: of the last block they may be shorter.
struct Halves {
  int64_t c0, first, second;
};
Halves halves_of(const Strassen& s, int64_t block) {
  const int64_t c0 = 2 * s.half * block, channels = least(2 * s.half, s.src.c - c0);
  const int64_t first = least(channels, ((channels + 1) / 2 + lanes - 1) / lanes * lanes);
  return {c0, first, channels - first};
}

// Product i multiplies the sum i of the left parts by that of the right parts, and is added to part `first`, and to
// `second` times `sign` (parts of C: 0, 1 above, 2, 3 below):
//   A11 + A22   A21 + A22   A11         A22         A11 + A12   A21 - A11   A12 - A22
//   B11 + B22   B11         B12 - B22   B21 - B11   B22         B11 + B12   B21 + B22
struct Target {
  int first, second;  // -1: there is none
  float sign;
  bool begins_first, begins_second;  // nothing was added to it before
};
constexpr Target targets[Strassen::products] = {
    {0, 3, 1, true, true},    {2, 3, -1, true, false},  {1, 3, 1, true, false},  {0, 2, 1, false, false},
    {1, 0, -1, false, false}, {3, -1, 0, false, false}, {0, -1, 0, false, false}};

// The seven right sides for one pair of panels: [product][channel][lane], 0 for channels past the last.
void pack_pair(const Strassen& s, const View& w, int64_t pair, const Halves& k, float* to) {
  const int64_t size = s.half * s.block, used = k.first * s.block;
  const auto pack = [&](int64_t c0, int64_t channels, int64_t half, int product) {
    const int64_t o0 = (2 * pair + half) * s.block, count = most(0, least(s.block, s.dst.c - o0));
    float* part = to + product * size;
    std::memset(part, 0, static_cast<size_t>(used) * sizeof(float));
    if (count == 0 || channels == 0) return;
    if (s.transposed_weights)
      copy_outputs(w.as<float>() + c0 * w.image_stride + o0, w.image_stride, count, channels, s.block, part);
    else
      pack_outputs(w.as<float>() + o0 * w.image_stride + c0, w.image_stride, count, channels, s.block, part);
  };
  pack(k.c0, k.first, 0, 1);             // B11
  pack(k.c0, k.first, 1, 2);             // B12
  pack(k.c0 + k.first, k.second, 0, 3);  // B21
  pack(k.c0 + k.first, k.second, 1, 4);  // B22
  for (int64_t i = 0; i < used; i += lanes, to += lanes) {
    const vfloat b11 = load(to + size), b12 = load(to + 2 * size), b21 = load(to + 3 * size), b22 = load(to + 4 * size);
    store(to, b11 + b22);
    store(to + 2 * size, b12 - b22);
    store(to + 3 * size, b21 - b11);
    store(to + 5 * size, b11 + b12);
    store(to + 6 * size, b21 + b22);
  }
}

struct Pixel {
  int64_t n, y, x;
};
Pixel pixel_at(const Shape& map, int64_t i) { return {i / map.w / map.h, i / map.w % map.h, i % map.w}; }

// Pixels [first, first + pixels) of all images; the first `rows` are above, the others below.
struct Band {
  int64_t first, pixels, rows;
};

Band band_of(const Strassen& s, int64_t index) {
  const int64_t all = s.dst.pixels(), first = part(all, index, s.bands), pixels = part(all, index + 1, s.bands) - first;
  return {first, pixels, (pixels + 1) / 2};
}

// What make_left will read next is asked for while the products of `pairs` pairs are computed, some lines with each
// tile: it may come from memory.
struct Ahead {
  const Strassen& s;
  const View& src;
  Band band;
  Halves k;
  int64_t pairs, row = 0, channel = 0;

  [[gnu::always_inline]] void ask(int64_t tiles) {
    const int64_t channels = k.first + k.second, lines = band.pixels * (channels / 16 + 1) / (pairs * tiles) + 1;
    const auto pixel = [&] {
      const Pixel p = pixel_at(s.src, band.first + row);
      return src.at<float>(p.n, p.y, p.x) + k.c0;
    };
    const float* at = row < band.pixels ? pixel() : nullptr;
    for (int64_t i = 0; i < lines && row < band.pixels; ++i) {
      __builtin_prefetch(at + channel, 0, 2);
      channel += 16;
      if (channel < channels) continue;
      channel = 0;
      if (++row < band.pixels) at = pixel();
    }
  }
};

// The seven left sides: [product][row][channel], 0 for the pixel and the channels that are missing below and right.
void make_left(const Strassen& s, const Source& source, const Band& band, const Halves& k, float* to) {
  const int64_t size = band.rows * s.pitch;
  const auto pixel = [&](int64_t i) {
    const Pixel p = pixel_at(s.src, band.first + least(i, band.pixels - 1));
    return source.view.at<float>(p.n, p.y, p.x);
  };
  for (int64_t row = 0; row < band.rows; ++row, to += s.pitch) {
    const float *above = pixel(row), *below = pixel(band.rows + row);
    const float *next_above = pixel(row + 1), *next_below = pixel(band.rows + row + 1);
    const bool both = band.rows + row < band.pixels;
    for (int64_t c = 0; c < k.first; c += lanes) {
      const int64_t left = k.c0 + c, right = left + k.first, right_count = k.second - c;
      const auto channels = [&](const float* p, int64_t from, int64_t count) {
        return count > 0 ? load_source(source, p, from, count) : zero();
      };
      __builtin_prefetch(next_above + left), __builtin_prefetch(next_above + right);
      __builtin_prefetch(next_below + left), __builtin_prefetch(next_below + right);
#pragma GCC unroll 7
      for (int i = 0; i < Strassen::products; ++i) __builtin_prefetch(to + i * size + c + s.pitch, 1);
      const vfloat a11 = channels(above, left, k.first - c), a12 = channels(above, right, right_count);
      const vfloat a21 = both ? channels(below, left, k.first - c) : zero();
      const vfloat a22 = both ? channels(below, right, right_count) : zero();
      store(to + c, a11 + a22);
      store(to + c + size, a21 + a22);
      store(to + c + 2 * size, a11);
      store(to + c + 3 * size, a22);
      store(to + c + 4 * size, a11 + a12);
      store(to + c + 5 * size, a21 - a11);
      store(to + c + 6 * size, a12 - a22);
    }
  }
}

// The sums of a pair of panels: [part of C][row][lane]. They leave for dst = act(scale sum + shift + residual) *
// act'(gate), written or added.
struct Pair {
  const Strassen& s;
  const Arguments& a;
  const Band& band;
  int64_t index;
  float* sums;

  float* part_of(int i) const { return sums + i * band.rows * s.block; }

  // The lines that leave() will touch for some pixels are asked for while the last sums are computed.
  [[gnu::always_inline]] void prepare(int64_t from, int64_t to) const {
    for (const View* map : {&a.epilogue.residual, &a.epilogue.gate, &a.dst[0].view}) {
      if (!*map || (map == &a.dst[0].view && Writer(a.dst[0]).past)) continue;
      for (int64_t i = from; i < to; ++i) {
        const Pixel p = pixel_at(s.dst, band.first + i);
        const float* at = map->at<float>(p.n, p.y, p.x) + 2 * index * s.block;
        for (int64_t o = 0; o < 2 * s.block; o += 16) __builtin_prefetch(at + o);
      }
    }
  }

  // The moments of the results, from the sums.
  void add_moments(const MomentsPart& moments) const {
    const float* bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
    for (int half = 0; half < 2; ++half) {
      const int64_t o = (2 * index + half) * s.block, left = s.dst.c - o;
      if (left <= 0) break;
      vfloat start[2] = {};
      for (int v = 0; bias && v < 2; ++v) start[v] = load_some(bias + o + v * lanes, most(left - v * lanes, 0));
      moments.begin(o, s.block);
      moments.add_pixels<2>(o, part_of(half), s.block, band.rows, start);
      if (band.pixels == band.rows) continue;
      moments.add_pixels<2>(o, part_of(2 + half), s.block, band.pixels - band.rows, start);
    }
  }

  void leave() const {
    const Epilogue& e = a.epilogue;
    const Writer write(a.dst[0]);
    const int64_t o0 = 2 * index * s.block;
    const float* bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
    for (int64_t i = 0; i < band.pixels; ++i) {
      const bool below = i >= band.rows;
      const Pixel p = pixel_at(s.dst, band.first + i);
      float* dst = a.dst[0].view.at<float>(p.n, p.y, p.x);
      const float* residual = e.residual ? e.residual.at<float>(p.n, p.y, p.x) : nullptr;
      const float* gate = e.gate ? e.gate.at<float>(p.n, p.y, p.x) : nullptr;
      for (int64_t v = 0; v < 2 * s.block && o0 + v < s.dst.c; v += lanes) {
        const int64_t o = o0 + v, row = below ? i - band.rows : i;
        const float* sum = part_of(2 * below + (v >= s.block)) + row * s.block + v % s.block;
        const vfloat total = bias ? load(sum) + load_some(bias + o, s.dst.c - o) : load(sum);
        leave_vector(total, e, o, residual ? residual + o : nullptr, gate ? gate + o : nullptr, write, dst + o,
                     s.dst.c - o);
      }
    }
  }
};

// A tile of a product, [M][2 vectors], is added to the tile `first`, and to `second` times `sign`, where there is one;
// the one that it begins is not read.
struct Sums {
  float *first, *second;
  float sign;
  bool begin_first, begin_second;
};

template <int M, Ask ask>
[[gnu::noinline, gnu::aligned(64)]] void add_tile(const float* x, int64_t step, const Run& run, int64_t length,
                                                  const Sums& to, const float* later) {
  alignas(64) static constexpr float zeros[2 * lanes] = {};
  for (float* p : {to.first, to.second}) {
    if (!p) continue;
#pragma GCC unroll 32
    for (int i = 0; i < 2 * M; ++i) __builtin_prefetch(p + i * lanes, 1);
  }
  const auto leave = [&](int m, int v, vfloat sum) {
    const int at = (2 * m + v) * lanes;
    store(to.first + at, to.begin_first ? sum : load(to.first + at) + sum);
    if (!to.second) return;
    const vfloat sign = broadcast(to.sign);  // here: during the sums it would take a register that they need
    store(to.second + at, to.begin_second ? sum * sign : fma(sum, sign, load(to.second + at)));
  };
  sum_tile<M, 2, false, ask>(x, x + M * step, step, &run, 1, length, zeros, 0, leave, 0, later);
}

// The seven products of one block of source channels: the first block begins the sums, and they leave after the last.
// The next product's panel, which may come from memory, is asked for by halves during the first two tiles.
void multiply(const Strassen& s, const Pair& pair, const Halves& k, const float* left, const float* panels, bool first,
              bool last, Ahead& ahead) {
  const int64_t rows = pair.band.rows, tiles = (rows + tile_rows - 1) / tile_rows, all = Strassen::products * tiles;
  for (int64_t i = 0; i < all; ++i) {
    const int64_t product = i / tiles, tile = i % tiles, r0 = part(rows, tile, tiles), r1 = part(rows, tile + 1, tiles);
    ahead.ask(all);
    if (last) pair.prepare(part(pair.band.pixels, i, all), part(pair.band.pixels, i + 1, all));
    const Target& to = targets[product];
    const auto tile_of = [&](int part) { return part < 0 ? nullptr : pair.part_of(part) + r0 * s.block; };
    const Sums sums{tile_of(to.first), tile_of(to.second), to.sign, first && to.begins_first,
                    first && to.begins_second};
    const Run run{0, panels + product * s.half * s.block};
    const float* x = left + (product * rows + r0) * s.pitch;
    const float* later = run.panel + s.half * s.block + tile * k.first * lanes;
    with_constant<tile_rows>(r1 - r0, [&]<int M>() {
      tile < 2 ? add_tile<M, Ask::rows_and_later>(x, s.pitch, run, k.first, sums, later)
               : add_tile<M, Ask::rows>(x, s.pitch, run, k.first, sums, later);
    });
  }
}

}  // namespace

void strassen_pack(const Strassen& s, const Arguments& a) {
  parallel_for(s.in_blocks * s.pairs, [&](int64_t i, int) {
    pack_pair(s, a.parameters[0], i % s.pairs, halves_of(s, i / s.pairs),
              reinterpret_cast<float*>(a.packed) + i * s.panel_floats());
  });
}

void strassen(const Strassen& s, const Arguments& a) {
  parallel_for(s.bands * s.pair_groups, [&](int64_t chunk, int thread) {
    const Band band = band_of(s, chunk % s.bands), next = band_of(s, (chunk + thread_count()) % s.bands);
    const int64_t group = chunk / s.bands;
    const int64_t first = part(s.pairs, group, s.pair_groups), last = part(s.pairs, group + 1, s.pair_groups);
    float* left = reinterpret_cast<float*>(a.scratch) + thread * (s.left_floats() + s.sum_floats());
    for (int64_t i = 0; i < s.in_blocks; ++i) {
      const bool complete = i + 1 == s.in_blocks;
      const Halves k = halves_of(s, i);
      Ahead ahead{s, a.src[0].view, complete ? next : band, halves_of(s, complete ? 0 : i + 1), last - first};
      make_left(s, a.src[0], band, k, left);
      for (int64_t j = first; j < last; ++j) {
        const float* panels = reinterpret_cast<const float*>(a.packed) + (i * s.pairs + j) * s.panel_floats();
        const int64_t kept = s.in_blocks > 1 ? j - first : 0;
        const Pair pair{s, a, band, j, left + s.left_floats() + kept * 4 * band.rows * s.block};
        multiply(s, pair, k, left, panels, i == 0, complete, ahead);
        if (!complete) continue;
        if (const MomentsPart moments = moments_part(s.moments, a, chunk % s.bands)) pair.add_moments(moments);
        pair.leave();
      }
    }
  });
  leave_moments(s.moments, a);
}

}  // namespace pixelwise::PIXELWISE_ISA
