// The weight gradient by Winograd: the tiles of both maps are transformed, each of the transform's points is a matrix
// product of (fine channels x tiles) and (tiles x coarse channels), and the sums are transformed back on their way to
// dst. Of few channels every thread has tiles of its own; of more, all threads work on one band of tiles and one group
// of fine channels.
#include "kernels/vector/conv_outer.hpp"
#include "kernels/vector/winograd_tiles.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

constexpr int64_t tiles_together = 4;  // that a thread transforms at a time

// The transformed tiles of a band: [point][tile][channel].
struct Tiles {
  float *fine, *coarse;
};

// Sums of some channels (fine ones counted from the first of the group): [point][coarse channel][fine channel].
struct Sums {
  Channels fine, coarse;
  float* data;
  int64_t pitch;  // floats from coarse channel to coarse channel
  int64_t step() const { return (coarse.last - coarse.first) * pitch + Winograd::gap; }
};

// Tiles [first, first + count) of both maps, as tiles [at, at + count) of a band; of the coarse one only where it is
// not there yet.
template <class F>
void transform_tiles(const WinogradWeights& w, const Arguments& a, const Channels& fine, bool with_coarse,
                     int64_t first, int64_t count, int64_t at, const Tiles& to) {
  const Source &fine_map = a.src[static_cast<size_t>(w.fine_operand)],
               &coarse_map = a.src[static_cast<size_t>(1 - w.fine_operand)];
  for (int64_t t = 0; t < count; ++t) {
    const Place place = place_of(w.map, first + t), next = place_of(w.map, least(first + t + 1, w.map.count() - 1));
    source_tile<F>(w.map, fine_map, fine, place, to.fine + (at + t) * w.fine_pitch, w.fine_step(),
                   source_ahead<F>(w.map, fine_map.view, next));
    if (with_coarse)
      gradient_tile<F>(w.map, coarse_map, {0, w.map.dst.c}, place, to.coarse + (at + t) * w.coarse_pitch,
                       w.coarse_step(), gradient_ahead<F>(w.map, coarse_map.view, next));
  }
}

// The same by all threads.
template <class F>
void transform_band(const WinogradWeights& w, const Arguments& a, const Channels& fine, bool with_coarse, int64_t first,
                    int64_t count, const Tiles& to) {
  parallel_for((count + tiles_together - 1) / tiles_together, [&](int64_t chunk, int) {
    const int64_t at = chunk * tiles_together;
    transform_tiles<F>(w, a, fine, with_coarse, first + at, least(tiles_together, count - at), at, to);
  });
}

// The sums of point p and coarse channels [o0, o1) += the products of `count` tiles; `first`: they begin with these.
void add_products(const WinogradWeights& w, const Sums& sums, int64_t p, int64_t o0, int64_t o1, bool first,
                  int64_t count, const Tiles& from) {
  // With many points, long sums would be rounded too much.
  const int64_t most = w.map.points() > 64 ? 48 : outer_pixels, parts = (count + most - 1) / most;
  Pixels tiles{};
  tiles.fine_block = 2 * lanes, tiles.fine_step = w.fine_pitch, tiles.coarse_step = w.coarse_pitch, tiles.rows = 1;
  const float *fine = from.fine + p * w.fine_step() + sums.fine.first, *coarse = from.coarse + p * w.coarse_step() + o0;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t t = part(count, i, parts), next = part(count, i + 1, parts);
    tiles.columns = next - t, tiles.first = first && i == 0;
    tiles.fine = fine + t * w.fine_pitch;
    tiles.coarse = coarse + t * w.coarse_pitch;
    const bool last = i + 1 == parts, last_point = p + 1 == w.map.points();  // what follows the last is the next point
    tiles.fine_next = last ? (last_point ? 0 : w.fine_step() - t * w.fine_pitch) : (next - t) * w.fine_pitch;
    tiles.coarse_next = last ? (last_point ? 0 : w.coarse_step() - t * w.coarse_pitch) : (next - t) * w.coarse_pitch;
    outer_run(tiles, sums.fine.last - sums.fine.first, o1 - o0,
              sums.data + p * sums.step() + (o0 - sums.coarse.first) * sums.pitch, sums.pitch);
  }
}

// The gradient of the weights of coarse channel o; the group begins with fine channel c0.
template <class F>
void leave_weights(const Destination& dst, const Sums& sums, int64_t c0, int64_t o) {
  const Writer write(dst);
  for (int64_t c = sums.fine.first; c < sums.fine.last; c += lanes) {
    const float* at = sums.data + (o - sums.coarse.first) * sums.pitch + c - sums.fine.first;
    transform_weights_gradient<F>(
        [&](int i, int j) { return load(at + F::point(i, j) * sums.step()); },
        [&](int y, int x, vfloat v) { write(dst.view.at<float>(o, y, x) + c0 + c, v, sums.fine.last - c); });
  }
}

// Few tiles: a chunk has all points of some channels, so that the sums stay in its L2 cache.
template <class F>
void run_by_channels(const WinogradWeights& w, const Arguments& a, const Channels& fine, const Tiles& tiles,
                     float* threads) {
  const int64_t channels = fine.last - fine.first, in_blocks = (channels + w.in_block - 1) / w.in_block;
  parallel_for(in_blocks * w.out_blocks, [&](int64_t chunk, int thread) {
    const int64_t i0 = chunk / w.out_blocks * w.in_block, block = chunk % w.out_blocks;
    const Sums sums{{i0, least(i0 + w.in_block, channels)},
                    {part(w.map.dst.c, block, w.out_blocks), part(w.map.dst.c, block + 1, w.out_blocks)},
                    threads + thread * w.sums_floats(),
                    w.in_block};
    for (int64_t p = 0; p < w.map.points(); ++p)
      add_products(w, sums, p, sums.coarse.first, sums.coarse.last, true, w.map.count(), tiles);
    for (int64_t o = sums.coarse.first; o < sums.coarse.last; ++o) leave_weights<F>(a.dst[0], sums, fine.first, o);
  });
}

// Many tiles: a chunk has a point of some coarse channels, so that its tiles stay in its L2 cache.
void add_by_points(const WinogradWeights& w, const Sums& sums, bool first, int64_t count, const Tiles& tiles) {
  parallel_for(w.map.points() * w.out_blocks, [&](int64_t chunk, int) {
    const int64_t p = chunk / w.out_blocks, block = chunk % w.out_blocks;
    add_products(w, sums, p, part(w.map.dst.c, block, w.out_blocks), part(w.map.dst.c, block + 1, w.out_blocks), first,
                 count, tiles);
  });
}

Tiles tiles_at(const WinogradWeights& w, float* scratch) { return {scratch, scratch + w.map.points() * w.fine_step()}; }

template <class F>
void run_by_groups(const WinogradWeights& w, const Arguments& a) {
  float* scratch = reinterpret_cast<float*>(a.scratch);
  const Tiles tiles = tiles_at(w, scratch);
  float* all_sums = scratch + w.tiles_floats();
  for (int64_t group = 0; group < w.in_groups; ++group) {
    const Channels fine{group * w.in_group, least((group + 1) * w.in_group, w.map.src.c)};
    const Sums sums{{0, fine.last - fine.first}, {0, w.map.dst.c}, all_sums, w.in_block};
    for (int64_t first = 0; first < w.map.count(); first += w.map.band) {
      const int64_t count = least(w.map.band, w.map.count() - first);
      transform_band<F>(w, a, fine, group == 0 || count < w.map.count(), first, count, tiles);
      if (w.by_points) add_by_points(w, sums, first == 0, count, tiles);
    }
    if (w.by_points)
      parallel_for(w.map.dst.c, [&](int64_t o, int) { leave_weights<F>(a.dst[0], sums, fine.first, o); });
    else
      run_by_channels<F>(w, a, fine, tiles, all_sums);
  }
}

// The sums of coarse channel o, from all slabs into the first.
void sum_slabs(const WinogradWeights& w, const Sums& first, int64_t o) {
  for (int64_t p = 0; p < w.map.points(); ++p) {
    float* to = first.data + p * first.step() + o * first.pitch;
    for (int64_t c = 0; c < first.fine.last; c += lanes) {
      vfloat sum = load(to + c);
      for (int64_t slab = 1; slab < w.slabs; ++slab) sum += load(to + slab * w.sums_floats() + c);
      store(to + c, sum);
    }
  }
}

// Few channels: what is done with a tile takes little longer than to bring it from one core to another. A chunk is a
// slab of tiles with sums of its own.
template <class F>
void run_by_slabs(const WinogradWeights& w, const Arguments& a) {
  const Channels fine{0, w.map.src.c};
  const Sums sums{fine, {0, w.map.dst.c}, reinterpret_cast<float*>(a.scratch), w.in_block};
  float* all_tiles = sums.data + w.slabs * w.sums_floats();
  parallel_for(w.slabs, [&](int64_t slab, int thread) {
    const Tiles tiles = tiles_at(w, all_tiles + thread * w.tiles_floats());
    Sums own = sums;
    own.data += slab * w.sums_floats();
    const int64_t begin = part(w.map.count(), slab, w.slabs), end = part(w.map.count(), slab + 1, w.slabs);
    for (int64_t first = begin; first < end; first += w.map.band) {
      const int64_t count = least(w.map.band, end - first);
      transform_tiles<F>(w, a, fine, true, first, count, 0, tiles);
      for (int64_t p = 0; p < w.map.points(); ++p)
        add_products(w, own, p, 0, w.map.dst.c, first == begin, count, tiles);
    }
  });
  parallel_for(w.map.dst.c, [&](int64_t o, int) {
    sum_slabs(w, sums, o);
    leave_weights<F>(a.dst[0], sums, 0, o);
  });
}

}  // namespace

void winograd_weights(const WinogradWeights& w, const Arguments& a) {
  with_filter(w.map, [&]<class F>() { w.slabs > 1 ? run_by_slabs<F>(w, a) : run_by_groups<F>(w, a); });
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
