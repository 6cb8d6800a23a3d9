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

constexpr int64_t slice = Winograd::slice;

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

// Rows of points whose weights are made together, those of two points of opposite sign: where each group begins. (A
// table: GCC 12 at -O3 gets the loop over groups wrong where it computes this.)
template <class F>
struct RowGroups {
  static constexpr int count = F::H::points - F::H::pairs;
  int first[count + 1]{};
  consteval RowGroups() {
    for (int i = 1; i <= count; ++i) first[i] = first[i - 1] + (i >= 2 && i <= F::H::pairs + 1 ? 2 : 1);
  }
};
template <class F>
constexpr RowGroups<F> row_groups;

// The transformed weights of a block and some source channels, for rows [First, Last) of the points:
// [point][channel][lane]. taps(c): what gather_taps has of the slice from channel c.
template <class F, int First, int Last, class Taps>
void make_panel(const Block& block, int64_t channels, const Taps& taps, float* to) {
  const int64_t step = Winograd::panel_step(channels, block.width), vectors = block.width / lanes;
  for (int64_t c = 0; c < channels; c += slice) {
    const float* from = taps(c);
    for (int64_t i = 0; i < least(slice, channels - c) * vectors; ++i) {
      const float* at = from + i * lanes;
      float* panel = to + c * block.width + i * lanes;
      transform_weights<F>([&](int y, int x) { return load(at + (y * F::taps + x) * slice * block.width); },
                           [&](int y, int x, vfloat v) {
                             if (y >= First && y < Last) store(panel + F::point(y - First, x) * step, v);
                           });
    }
  }
}

// The same of all points, from the weights.
template <class F>
void make_all(const Winograd& w, const View& weights, const Block& block, int64_t c0, int64_t channels, float* to) {
  alignas(64) float taps[F::taps * F::taps * slice * 2 * lanes];
  const auto gathered = [&](int64_t c) {
    gather_taps<F>(w, weights, block, c0 + c, least(slice, channels - c), taps);
    return taps;
  };
  make_panel<F, 0, F::H::points>(block, channels, gathered, to);
}

// The taps of slice `index` of a block, and all of them.
template <class F>
const float* taps_of(const float* taps, const Block& block, int64_t index) {
  return taps + index * F::taps * F::taps * slice * block.width;
}
template <class F>
void gather_all(const Winograd& w, const View& weights, const Block& block, float* to) {
  for (int64_t c = 0; c < w.src.c; c += slice, to += F::taps * F::taps * slice * block.width)
    gather_taps<F>(w, weights, block, c, least(slice, w.src.c - c), to);
}

int64_t panel_offset(const Winograd& w, const Block& block, int64_t c0, int64_t index) {
  return w.points() * (block.o0 * w.src.c + c0 * block.width + (block.index * w.in_blocks + index) * Winograd::gap);
}

// The results of a tile at the vector of channels o of a block: [row][column][lane], from its sums. They leave in
// loops: unrolled, as the transform is, what is asked of each would not fit into the cache of instructions.
template <class F>
[[gnu::noinline]] void make_results(const Winograd& w, const Arguments& a, const Block& block, int64_t o,
                                    const float* sums, float* to) {
  const float* bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
  const int64_t step = w.sums_step(block.width), c = block.o0 + o;
  const vfloat start = bias ? load_some(bias + c, w.dst.c - c) : zero();
  transform_result<F>([&](int i, int j) { return load(sums + F::point(i, j) * step + o); },
                      [&](int i, int j, vfloat v) { store(to + (i * F::W::results + j) * lanes, v + start); });
}

// The results of the tile at `place` leave the kernel max pooled: a tile holds whole windows.
template <class F>
void pooled_tile(const Winograd& w, const Arguments& a, const Block& block, const Place& place, const float* sums) {
  alignas(64) float results[F::H::results * F::W::results * lanes];
  const View& dst = a.dst[0].view;
  const Writer write(a.dst[0]);
  for (int64_t o = 0; o < block.width && block.o0 + o < w.dst.c; o += lanes) {
    const int64_t c = block.o0 + o, left = w.dst.c - c;
    make_results<F>(w, a, block, o, sums, results);
    for (int64_t i = 0; i < F::H::results && (place.y + i) / 2 < dst.shape.h; i += 2) {
      for (int64_t j = 0; j < F::W::results && (place.x + j) / 2 < dst.shape.w; j += 2) {
        vfloat best = zero();
        for (int64_t k = 0; k < 4; ++k) {
          const int64_t y = i + k / 2, x = j + k % 2;
          if (place.y + y >= w.dst.h || place.x + x >= w.dst.w) continue;
          const vfloat v =
              finished(load(results + (y * F::W::results + x) * lanes), a.epilogue, c, nullptr, nullptr, left);
          best = k == 0 ? v : ((v > best) | (v != v)) ? v : best;  // NaN wins
        }
        write(dst.at<float>(place.n, (place.y + i) / 2, (place.x + j) / 2) + c, best, left);
      }
    }
  }
}

// The results of the tile at `place` leave the kernel, and are Summed.
template <class F, bool Summed>
void result_tile(const Winograd& w, const Arguments& a, const Block& block, const Place& place, const float* sums,
                 const MomentsPart& moments) {
  alignas(64) float results[F::H::results * F::W::results * lanes];
  const Epilogue& e = a.epilogue;
  const Writer write(a.dst[0]);
  const int64_t rows = least(F::H::results, (w.dst.h - place.y + w.dilation.h - 1) / w.dilation.h);
  const int64_t columns = least(F::W::results, (w.dst.w - place.x + w.dilation.w - 1) / w.dilation.w);
  for (int64_t o = 0; o < block.width && block.o0 + o < w.dst.c; o += lanes) {
    const int64_t c = block.o0 + o;
    make_results<F>(w, a, block, o, sums, results);
    Spread spread{load(results)};
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t y = place.y + i * w.dilation.h, x = place.x + j * w.dilation.w;
        const vfloat v = load(results + (i * F::W::results + j) * lanes);
        if (Summed) spread.add(v);
        leave_vector(v, e, c, e.residual ? e.residual.at<float>(place.n, y, x) + c : nullptr,
                     e.gate ? e.gate.at<float>(place.n, y, x) + c : nullptr, write,
                     a.dst[0].view.at<float>(place.n, y, x) + c, w.dst.c - c);
      }
    }
    if (Summed) moments.add(c, spread, rows * columns);
  }
}

// The source of the next band is asked for while this one is multiplied, some pixels with each product: it comes from
// beyond the L2 cache, and the processor does not follow so many rows by itself.
class Ahead {
 public:
  /// Of tiles [first, last), the columns [0, width) of each: those behind are the next one's too.
  Ahead(const Winograd& w, const View& src, int64_t first, int64_t last, Size part, int64_t products)
      : w_(w),
        src_(src),
        tile_(first),
        last_(last),
        part_(part),
        pixels_((last - first) * part.h * part.w / products + 1) {
    if (tile_ < last_) place_ = place_of(w_, tile_);
  }

  void ask() {
    for (int64_t left = pixels_; left > 0 && tile_ < last_; --left) {
      const int64_t y = place_.y + w_.offset.h + i_ * w_.dilation.h, x = place_.x + w_.offset.w + j_ * w_.dilation.w;
      if (y >= 0 && x >= 0 && y < src_.shape.h && x < src_.shape.w) {
        const float* at = src_.at<float>(place_.n, y, x);
        for (int64_t c = 0; c < src_.shape.c; c += 16) __builtin_prefetch(at + c, 0, 2);
      }
      if (++j_ < part_.w) continue;
      j_ = 0;
      if (++i_ < part_.h) continue;
      i_ = 0;
      if (++tile_ < last_) place_ = place_of(w_, tile_);
    }
  }

 private:
  const Winograd& w_;
  const View& src_;
  int64_t tile_, last_;
  Size part_;
  int64_t pixels_;  // with each product
  Place place_{};
  int64_t i_ = 0, j_ = 0;
};

// The weights of a block for points [first, last) and source channels [c0, c0 + channels).
struct Panel {
  int64_t first, last, c0, channels;
  const float* data;
};

// The products of one block of destination channels and the tiles from that of `source` on are added to its sums, some
// channels at a time: what hundreds of channels give is rounded less as a sum of sums. `next`: what the next panel will
// read; ask(): for what will be needed later.
template <class Ask>
void add_products(const Winograd& w, const Block& block, const Panel& panel, int64_t count, const float* source,
                  const float* next, float* sums, const Ask& ask) {
  alignas(64) static constexpr float zeros[2 * lanes] = {};
  const int64_t step = w.sums_step(block.width), rows = (count + tile_rows - 1) / tile_rows;
  for (int64_t p = panel.first; p < panel.last; ++p) {
    const float* weights = panel.data + (p - panel.first) * Winograd::panel_step(panel.channels, block.width);
    const float* tiles = source + p * w.source_step() + panel.c0;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t t = part(count, r, rows), end = part(count, r + 1, rows);
      const float* next_tiles = r + 1 < rows         ? tiles + end * w.pitch
                                : p + 1 < panel.last ? tiles + w.source_step()
                                                     : next;
      float* to = sums + p * step + t * block.width;
      for (int64_t c = 0; c < panel.channels; c += w.summed) {
        ask();
        const int64_t channels = least(w.summed, panel.channels - c);
        const float* x = tiles + t * w.pitch + c;
        const float* follow = c + channels < panel.channels ? x + channels : next_tiles;
        const bool first = panel.c0 + c == 0;
        const Run run{0, weights + c * block.width};
        with_constant<tile_rows>(end - t, [&]<int Rows>() {
          with_vectors(least(block.width, w.dst.c - block.o0), [&]<int V, bool half>() {
            tile<Rows, V, half>(x, follow, w.pitch, &run, 1, channels, first ? zeros : to, first ? 0 : V * lanes, to);
          });
        });
      }
    }
  }
}

// The same of all source channels.
template <class F, class Ask>
void multiply(const Winograd& w, const Arguments& a, const Block& block, int64_t count, const float* source,
              float* sums, const Ask& ask) {
  float* made = sums + w.points() * w.sums_step(w.block);
  for (int64_t i = 0; i < w.in_blocks; ++i) {
    const int64_t c0 = i * w.in_block;
    Panel panel{0, w.points(), c0, least(w.in_block, w.src.c - c0), made};
    if (w.prepacked)
      panel.data = reinterpret_cast<const float*>(a.packed) + panel_offset(w, block, c0, i);
    else
      make_all<F>(w, a.parameters[0], block, c0, panel.channels, made);
    add_products(w, block, panel, count, source, source + (c0 + panel.channels) % w.src.c, sums, ask);
  }
}

// The same with weights that are made for some rows of points at a time: they are still in the L2 cache when they are
// used. From packed taps; those of the block `wanted` are asked for.
template <class F>
void multiply_by_rows(const Winograd& w, const Arguments& a, const Block& block, const Block& wanted, int64_t count,
                      const float* source, float* sums) {
  float* made = sums + w.points() * w.sums_step(w.block);
  const float* taps = made + w.panel_floats();
  const float* later = nullptr;
  int64_t lines = 0;  // for each product
  if (w.packed_taps) {
    const auto packed = [&](const Block& b) { return reinterpret_cast<const float*>(a.packed) + w.taps_floats(b.o0); };
    const int64_t products = w.points() * ((count + tile_rows - 1) / tile_rows) * ((w.src.c + w.summed - 1) / w.summed);
    taps = packed(block), later = packed(wanted);
    lines = w.taps_floats(wanted.width) / 16 / products + 1;
  } else {
    gather_all<F>(w, a.parameters[0], block, made + w.panel_floats());
  }
  const auto ask = [&] {
    for (int64_t i = 0; i < lines; ++i, later += 16) __builtin_prefetch(later, 0, 2);
  };
  for (int group = 0; group < RowGroups<F>::count; ++group) {
    for (int64_t c0 = 0; c0 < w.src.c; c0 += w.in_block) {
      const int64_t first = F::point(row_groups<F>.first[group], 0), last = F::point(row_groups<F>.first[group + 1], 0);
      const Panel panel{first, last, c0, least(w.in_block, w.src.c - c0), made};
      with_constant<RowGroups<F>::count>(group + 1, [&]<int G>() {
        make_panel<F, row_groups<F>.first[G - 1], row_groups<F>.first[G]>(
            block, panel.channels, [&](int64_t c) { return taps_of<F>(taps, block, (c0 + c) / slice); }, made);
      });
      const bool complete = c0 + panel.channels == w.src.c;
      const float* next = source + (complete ? last : first) * w.source_step() + (complete ? 0 : c0 + panel.channels);
      add_products(w, block, panel, count, source, next, sums, ask);
    }
  }
}

// The sums of tiles [first, last) leave.
template <class F>
void leave(const Winograd& w, const Arguments& a, const Block& block, int64_t first, int64_t last, const float* sums,
           const MomentsPart& moments) {
  if (moments) moments.begin(block.o0, block.width);
  for (int64_t t = first; t < last; ++t, sums += block.width) {
    const Place place = place_of(w, t);
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
    const int64_t next = least(first + thread_count() * w.band, w.count());
    const int64_t products = w.out_blocks * w.points() * ((w.band + tile_rows - 1) / tile_rows);
    Ahead ahead(w, a.src[0].view, next, least(next + w.band, w.count()), {F::H::inputs, F::W::results}, products);
    float* sums = source + w.source_floats();
    for (int64_t b = 0; b < w.out_blocks; ++b) {
      multiply<F>(w, a, block_of(w, b), last - first, source, sums, [&] { ahead.ask(); });
      leave<F>(w, a, block_of(w, b), first, last, sums, moments_part(w.moments, a, band));
    }
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
      const Block block = block_of(w, chunk / groups);
      const float* tiles = source + t0 * w.pitch;
      float* sums = source + w.source_floats() + thread * w.thread_floats();
      if (!w.by_rows) {
        multiply<F>(w, a, block, t1 - t0, tiles, sums, [] {});
      } else if constexpr (F::taps == 3) {
        const Block wanted = block_of(w, (chunk + thread_count()) / groups % w.out_blocks);
        multiply_by_rows<F>(w, a, block, wanted, t1 - t0, tiles, sums);
      }
      leave<F>(w, a, block, first + t0, first + t1, sums,
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
    make_all<F>(w, a.parameters[0], block, c0, least(w.in_block, w.src.c - c0), packed + panel_offset(w, block, c0, i));
  });
}

template <class F>
void pack_taps(const Winograd& w, const Arguments& a) {
  float* packed = reinterpret_cast<float*>(a.packed);
  parallel_for(w.out_blocks, [&](int64_t i, int) {
    const Block block = block_of(w, i);
    gather_all<F>(w, a.parameters[0], block, packed + w.taps_floats(block.o0));
  });
}

void pack(const Winograd& w, const Arguments& a) {
  with_filter(w, [&]<class F>() { w.packed_taps ? pack_taps<F>(w, a) : pack_all<F>(w, a); });
}

void run(const Winograd& w, const Arguments& a) {
  with_filter(w, [&]<class F>() { w.shared ? run_shared<F>(w, a) : run_private<F>(w, a); });
  leave_moments(w.moments, a);
}

}  // namespace

const WinogradEntries winograd{pack, run, winograd_weights};

}  // namespace pixelwise::PIXELWISE_ISA
