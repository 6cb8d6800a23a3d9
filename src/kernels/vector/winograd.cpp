// Winograd convolution on channels-last maps: a band of tiles is transformed, each of the transform's points is a
// matrix product of (tiles x source channels) and (source channels x destination channels), and the sums are
// transformed back on their way to dst.
#include "kernels/vector/winograd.hpp"

#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_tile.hpp"
#include "kernels/vector/moments.hpp"
#include "kernels/vector/winograd_tiles.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int64_t slice = 16;  // source channels whose weights are gathered at a time: a cache line of floats

// A block of destination channels: one vector wide where that is enough.
struct Block {
  int64_t index, o0, width;
};
Block block_of(const Winograd& w, int64_t i) {
  const int64_t o0 = i * w.block;
  return {i, o0, w.dst.c - o0 <= lanes ? lanes : w.block};
}

// The taps for source channels [c0, c0 + channels) (at most a slice), as to[tap][channel][lane]; 0 in lanes past the
// last destination channel.
template <class F>
void gather_taps(const Winograd& w, const View& weights, const Block& block, int64_t c0, int64_t channels, float* to) {
  const int64_t count = least(block.width, w.dst.c - block.o0);
  constexpr int64_t width = F::taps, taps_ahead = 4;
  for (int64_t k = 0; k < width * width; ++k, to += slice * block.width) {
    if (w.transposed_weights)
      copy_outputs(weights.at<float>(c0, width - 1 - k / width, width - 1 - k % width) + block.o0, weights.image_stride,
                   count, channels, block.width, to, -taps_ahead * weights.pixel_stride);
    else
      pack_outputs<2>(weights.at<float>(block.o0, k / width, k % width) + c0, weights.image_stride, count, channels,
                      block.width, to, taps_ahead * weights.pixel_stride);
  }
}

// The transformed weights of a block and source channels [c0, c0 + channels): [point][channel][lane].
template <class F>
void make_panel(const Winograd& w, const View& weights, const Block& block, int64_t c0, int64_t channels, float* to) {
  alignas(64) float taps[F::taps * F::taps * slice * 2 * lanes];
  const int64_t step = Winograd::panel_step(channels, block.width), vectors = block.width / lanes;
  for (int64_t c = 0; c < channels; c += slice) {
    const int64_t some = least(slice, channels - c);
    gather_taps<F>(w, weights, block, c0 + c, some, taps);
    for (int64_t i = 0; i < some * vectors; ++i) {
      const float* at = taps + i * lanes;
      float* panel = to + c * block.width + i * lanes;
      transform_weights<F>([&](int y, int x) { return load(at + (y * F::taps + x) * slice * block.width); },
                           [&](int y, int x, vfloat v) { store(panel + F::point(y, x) * step, v); });
    }
  }
}

int64_t panel_offset(const Winograd& w, const Block& block, int64_t c0, int64_t index) {
  return w.points() * (block.o0 * w.src.c + c0 * block.width + (block.index * w.in_blocks + index) * Winograd::gap);
}

// leave(i, j, c, result) for the pixels of a tile and the vectors of channels of a block, from its sums; done(c) after
// each vector.
template <class F, class Leave, class Done>
[[gnu::always_inline]] inline void for_results(const Winograd& w, const Arguments& a, const Block& block,
                                               const float* sums, const Leave& leave, const Done& done) {
  const float* bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
  const int64_t step = w.sums_step(block.width);
  for (int64_t o = 0; o < block.width && block.o0 + o < w.dst.c; o += lanes) {
    const int64_t c = block.o0 + o;
    const vfloat start = bias ? load_some(bias + c, w.dst.c - c) : zero();
    transform_result<F>([&](int i, int j) { return load(sums + F::point(i, j) * step + o); },
                        [&](int i, int j, vfloat v) { leave(i, j, c, v + start); });
    done(c);
  }
}

// The results of the tile at `place` leave the kernel max pooled: a tile holds whole windows.
template <class F>
void pooled_tile(const Winograd& w, const Arguments& a, const Block& block, const Place& place, const float* sums) {
  const View& dst = a.dst[0].view;
  const Writer write(a.dst[0]);
  vfloat largest[F::W::results]{};  // of the windows of two rows
  for_results<F>(
      w, a, block, sums,
      [&](int i, int j, int64_t c, vfloat v) {
        const int64_t y = place.y + i, x = place.x + j, left = w.dst.c - c;
        vfloat& best = largest[j / 2];
        if (y < w.dst.h && x < w.dst.w) {
          v = finished(v, a.epilogue, c, nullptr, nullptr, left);
          const bool first = i % 2 == 0 && j % 2 == 0;
          best = first ? v : ((v > best) | (v != v)) ? v : best;  // NaN wins
        }
        if (i % 2 == 1 && j % 2 == 1 && y / 2 < dst.shape.h && x / 2 < dst.shape.w)
          write(dst.at<float>(place.n, y / 2, x / 2) + c, best, left);
      },
      [](int64_t) {});
}

// The results of the tile at `place` leave the kernel.
template <class F, bool Summed>
void result_tile(const Winograd& w, const Arguments& a, const Block& block, const Place& place, const float* sums,
                 const MomentsPart& moments) {
  const Epilogue& e = a.epilogue;
  const Writer write(a.dst[0]);
  Spread spread;
  const auto leave = [&](int i, int j, int64_t c, vfloat v) {
    const int64_t y = place.y + i * w.dilation.h, x = place.x + j * w.dilation.w;
    if (y >= w.dst.h || x >= w.dst.w) return;
    if (Summed && i == 0 && j == 0) spread = {v};
    if (Summed) spread.add(v);
    leave_vector(v, e, c, e.residual ? e.residual.at<float>(place.n, y, x) + c : nullptr,
                 e.gate ? e.gate.at<float>(place.n, y, x) + c : nullptr, write,
                 a.dst[0].view.at<float>(place.n, y, x) + c, w.dst.c - c);
  };
  const int64_t rows = least(F::H::results, (w.dst.h - place.y + w.dilation.h - 1) / w.dilation.h);
  const int64_t columns = least(F::W::results, (w.dst.w - place.x + w.dilation.w - 1) / w.dilation.w);
  for_results<F>(w, a, block, sums, leave, [&](int64_t c) {
    if (Summed) moments.add(c, spread, rows * columns);
  });
}

// Tiles [first, last): the products of one block of destination channels, and their way out. `source` is the
// transformed source of tile `first`.
template <class F>
void multiply(const Winograd& w, const Arguments& a, const Block& block, int64_t first, int64_t last,
              const float* source, float* scratch, const MomentsPart& moments) {
  alignas(64) static constexpr float zeros[2 * lanes] = {};
  const int64_t count = last - first, step = w.sums_step(block.width), rows = (count + tile_rows - 1) / tile_rows;
  float* made = scratch + w.points() * step;
  for (int64_t i = 0; i < w.in_blocks; ++i) {
    const int64_t c0 = i * w.in_block, channels = least(w.in_block, w.src.c - c0);
    const float* panel = made;
    if (w.prepacked)
      panel = reinterpret_cast<const float*>(a.packed) + panel_offset(w, block, c0, i);
    else
      make_panel<F>(w, a.parameters[0], block, c0, channels, made);
    for (int64_t p = 0; p < w.points(); ++p) {
      const Run run{0, panel + p * Winograd::panel_step(channels, block.width)};
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t t = part(count, r, rows);
        const float* x = source + p * w.source_step() + t * w.pitch + c0;
        const float* next =
            r + 1 < rows ? x + (part(count, r + 1, rows) - t) * w.pitch : source + (p + 1) * w.source_step() + c0;
        float* to = scratch + p * step + t * block.width;
        const float* init = i == 0 ? zeros : to;
        const int64_t init_step = i == 0 ? 0 : block.width;
        with_constant<tile_rows>(part(count, r + 1, rows) - t, [&]<int Rows>() {
          block.width == lanes ? tile<Rows, 1>(x, next, w.pitch, &run, 1, channels, init, init_step, to)
                               : tile<Rows, 2>(x, next, w.pitch, &run, 1, channels, init, init_step, to);
        });
      }
    }
  }
  if (moments) moments.begin(block.o0, block.width);
  for (int64_t t = 0; t < count; ++t) {
    const Place place = place_of(w, first + t);
    const float* sums = scratch + t * block.width;
    w.pooled  ? pooled_tile<F>(w, a, block, place, sums)
    : moments ? result_tile<F, true>(w, a, block, place, sums, moments)
              : result_tile<F, false>(w, a, block, place, sums, moments);
  }
}

template <class F>
void transform_band(const Winograd& w, const Arguments& a, int64_t first, int64_t last, float* to) {
  for (int64_t t = first; t < last; ++t, to += w.pitch)
    source_tile<F>(w, a.src[0], {0, w.src.c}, place_of(w, t), to, w.source_step());
}

// Every thread has bands of its own, whose transformed source stays in its L2 cache.
template <class F>
void run_private(const Winograd& w, const Arguments& a) {
  parallel_for(w.bands(), [&](int64_t band, int thread) {
    float* source = reinterpret_cast<float*>(a.scratch) + thread * w.thread_floats();
    const int64_t first = band * w.band, last = least(first + w.band, w.count());
    transform_band<F>(w, a, first, last, source);
    for (int64_t b = 0; b < w.out_blocks; ++b)
      multiply<F>(w, a, block_of(w, b), first, last, source, source + w.source_floats(),
                  moments_part(w.moments, a, band));
  });
}

// All threads transform one large band, then share out the destination channels: many channels, few tiles.
template <class F>
void run_shared(const Winograd& w, const Arguments& a) {
  float* source = reinterpret_cast<float*>(a.scratch);
  for (int64_t first = 0; first < w.count(); first += w.band) {
    const int64_t count = least(w.band, w.count() - first), groups = (count + w.group - 1) / w.group;
    parallel_for((count + 3) / 4, [&](int64_t chunk, int) {
      transform_band<F>(w, a, first + chunk * 4, first + least(chunk * 4 + 4, count), source + chunk * 4 * w.pitch);
    });
    parallel_for(w.out_blocks * groups, [&](int64_t chunk, int thread) {
      const int64_t t0 = part(count, chunk % groups, groups), t1 = part(count, chunk % groups + 1, groups);
      multiply<F>(w, a, block_of(w, chunk / groups), first + t0, first + t1, source + t0 * w.pitch,
                  source + w.source_floats() + thread * w.thread_floats(),
                  moments_part(w.moments, a, w.groups_before(first / w.band) + chunk % groups));
    });
  }
}

template <class F>
void pack_all(const Winograd& w, const Arguments& a) {
  float* packed = reinterpret_cast<float*>(a.packed);
  parallel_for(w.out_blocks * w.in_blocks, [&](int64_t chunk, int) {
    const Block block = block_of(w, chunk / w.in_blocks);
    const int64_t i = chunk % w.in_blocks, c0 = i * w.in_block;
    make_panel<F>(w, a.parameters[0], block, c0, least(w.in_block, w.src.c - c0),
                  packed + panel_offset(w, block, c0, i));
  });
}

void pack(const Winograd& w, const Arguments& a) {
  with_filter(w, [&]<class F>() { pack_all<F>(w, a); });
}

void run(const Winograd& w, const Arguments& a) {
  with_filter(w, [&]<class F>() { w.shared ? run_shared<F>(w, a) : run_private<F>(w, a); });
  leave_moments(w.moments, a);
}

}  // namespace

const WinogradEntries winograd{pack, run, winograd_weights};

}  // namespace pixelwise::PIXELWISE_ISA
