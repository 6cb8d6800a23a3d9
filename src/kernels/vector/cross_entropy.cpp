// Pixel-wise softmax cross-entropy, also of scores that it resizes itself. As the definitions in
// kernels/cross_entropy.cpp.
//
// Resized scores are never in memory: a chunk is a strip of rows of the small map. For a group of columns of the large
// one, two rows of the small map are blended along the row into a tile each; the large rows between them are blends of
// these two tiles. Backward is the transpose: a large row adds its gradient to two tiles, which then leave for the two
// rows of the small map. The last of these belongs to the next chunk: each chunk keeps its share of it in scratch, and
// the shares are added in the end, so that the bits do not depend on the threads.
#include "kernels/vector/cross_entropy.hpp"

#include <cmath>

#include "kernels/vector/class_tile.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// Of a chunk: sum of w t (-log p), sum of w t before smoothing, and whether an id was out of range.
struct Sums {
  double loss, weight, wrong;
};

// Adds the pixels of a tile of scores: w t (log sum exp(x - m) + m - x).
[[gnu::always_inline]] inline void add_loss(const float* scores, int64_t classes, const Targets& targets,
                                            int64_t pixels, Sums& sums) {
  const vfloat largest = largest_score(scores, classes);
  vfloat distance = zero(), weight = zero(), hard = zero(), sum = zero();
  for (int64_t c = 0; c < classes; ++c) {
    const vfloat score = load(scores + c * lanes), target = targets.at(c);
    distance += target != zero() ? target * (largest - score) : zero();
    weight += target;
    hard += targets.hard(c);
    sum += exp(score - largest);
  }
  for (int64_t p = 0; p < pixels; ++p) {
    sums.weight += hard[p];
    if (weight[p] == 0) continue;
    sums.loss += distance[p] + weight[p] * std::log(static_cast<double>(sum[p]));
  }
}

// d loss / d x_c = (p_c sum w t - w_c t_c) / D: turns a tile of scores into its gradient.
[[gnu::always_inline]] inline void to_gradient(float* scores, int64_t classes, const Targets& targets, vfloat scale) {
  const vfloat weight = targets.sum(), factor = weight / exponentials(scores, classes);
  for (int64_t c = 0; c < classes; ++c) {
    const vfloat g = scale * (load(scores + c * lanes) * factor - targets.at(c));
    store(scores + c * lanes, weight == zero() ? zero() : g);
  }
}

// diff_loss / D
[[gnu::always_inline]] inline vfloat scale_of(const Arguments& a) {
  const double denominator = *a.src[2].view.as<float>();
  return broadcast(static_cast<float>(denominator == 0 ? 0 : *a.src[3].view.as<float>() / denominator));
}

// The chunks' sums, in order, to the loss and its denominator.
bool finish(const CrossEntropyJob& job, const Arguments& a, const Sums* sums) {
  Sums all{};
  for (int64_t i = 0; i < job.chunks; ++i)
    all = {all.loss + sums[i].loss, all.weight + sums[i].weight, all.wrong + sums[i].wrong};
  double denominator = all.weight;
  if (job.loss.normalize == LossNormalization::sum) denominator = 1;
  if (job.loss.normalize == LossNormalization::batch) denominator = static_cast<double>(a.src[0].view.shape.n);
  if (job.loss.shared_denominator) denominator = *a.src[2].view.as<float>();
  *a.dst[0].view.as<float>() = static_cast<float>(denominator == 0 ? 0 : all.loss / denominator);
  *a.dst[1].view.as<float>() = static_cast<float>(denominator);
  return all.wrong == 0;
}

float* tiles_of(const CrossEntropyJob& job, const Arguments& a, int thread) {
  return reinterpret_cast<float*>(a.scratch) + thread * job.tile_floats;
}
Sums* sums_of(const CrossEntropyJob& job, const Arguments& a) {
  auto* sums = reinterpret_cast<Sums*>(a.scratch + job.sums_offset);
  for (int64_t i = 0; i < job.chunks; ++i) sums[i] = {};
  return sums;
}

// fn(n, y, x, pixels, tile of scores, targets, chunk) for every group of up to `lanes` pixels of a row; returns whether
// all ids were in range.
template <class Fn>
[[gnu::always_inline]] inline bool for_groups(const CrossEntropyJob& job, const Arguments& a, const Fn& fn) {
  const View scores = a.src[0].view;
  const int64_t classes = scores.shape.c;
  int wrong = 0;
  for_rows(scores.shape, [&](int64_t n, int64_t y, int64_t chunk, int thread) {
    float* tile = tiles_of(job, a, thread);
    Targets targets(job.loss, classes, a, tile + classes * lanes);
    for (int64_t x = 0; x < scores.shape.w; x += lanes) {
      const int64_t pixels = scores.shape.w - x < lanes ? scores.shape.w - x : lanes;
      if (!targets.read(n, y, x, pixels)) __atomic_store_n(&wrong, 1, __ATOMIC_RELAXED);
      gather(scores.at<float>(n, y, x), scores.pixel_stride, pixels, classes, tile);
      fn(n, y, x, pixels, tile, targets, chunk);
    }
  });
  return wrong == 0;
}

bool forward(const CrossEntropyJob& job, const Arguments& a) {
  Sums* sums = sums_of(job, a);
  const bool good = for_groups(
      job, a, [&](int64_t, int64_t, int64_t, int64_t pixels, const float* tile, const Targets& targets, int64_t chunk) {
        add_loss(tile, a.src[0].view.shape.c, targets, pixels, sums[chunk]);
      });
  return finish(job, a, sums) && good;
}

bool backward(const CrossEntropyJob& job, const Arguments& a) {
  const Destination diff = a.dst[0];
  const int64_t classes = a.src[0].view.shape.c;
  const vfloat scale = scale_of(a);
  return for_groups(job, a,
                    [&](int64_t n, int64_t y, int64_t x, int64_t pixels, float* tile, const Targets& targets, int64_t) {
                      to_gradient(tile, classes, targets, scale);
                      scatter(tile, pixels, classes, diff.view.at<float>(n, y, x), diff.view.pixel_stride, diff.mode);
                    });
}

// Rows [first, last) of the small map of image n.
struct Strip {
  int64_t n, first, last;
};
[[gnu::always_inline]] inline Strip strip_of(const CrossEntropyJob& job, const Shape& small, int64_t chunk) {
  const int64_t strips = job.chunks / small.n, first = chunk % strips * job.strip, last = first + job.strip;
  return {chunk / strips, first, last < small.h ? last : small.h};
}

// The tiles of a thread.
struct Tiles {
  float *upper, *lower;            ///< two rows of the small map, blended along the row
  float *scores, *targets;         ///< of a row of the large map
  float *diff_upper, *diff_lower;  ///< backward
};
[[gnu::always_inline]] inline Tiles tiles_of(float* from, int64_t classes) {
  const int64_t each = classes * lanes;
  return {from, from + each, from + 2 * each, from + 3 * each, from + 4 * each, from + 5 * each};
}

// A row of the small map at `pixels` columns of the large one, from x.
[[gnu::always_inline]] inline void blend_columns(const CrossEntropyJob& job, const View& small, int64_t n, int64_t row,
                                                 int64_t x, int64_t pixels, float* tile) {
  const Blend* columns = job.resize.columns + x;
  transpose_pixels(pixels, small.shape.c, tile, [&](int64_t p, int64_t c) {
    const Blend h = columns[p];
    const int64_t rest = small.shape.c - c;
    return broadcast(static_cast<float>(1 - h.share)) * load_some(small.at<float>(n, row, h.low) + c, rest) +
           broadcast(static_cast<float>(h.share)) * load_some(small.at<float>(n, row, h.high) + c, rest);
  });
}

// For every group of columns of a strip and every row of the small map that large rows begin at: begin(), then for each
// of these fn(share of the upper row, of the lower, pixels, targets) with its scores in tiles.scores, then end(upper
// row, lower row, x, pixels). Returns whether all ids were in range.
template <class Begin, class Fn, class End>
[[gnu::always_inline]] inline bool for_large_rows(const CrossEntropyJob& job, const Arguments& a, const Strip& strip,
                                                  const Tiles& tiles, const Begin& begin, const Fn& fn,
                                                  const End& end) {
  const View small = a.src[0].view;
  const int64_t classes = small.shape.c, width = job.loss.resize.size.w;
  Targets targets(job.loss, classes, a, tiles.targets);
  bool good = true;
  for (int64_t x = 0; x < width; x += lanes) {
    const int64_t pixels = width - x < lanes ? width - x : lanes;
    for (int64_t y = strip.first; y < strip.last; ++y) {
      const int64_t first = job.large_rows[y], last = job.large_rows[y + 1];
      if (first == last) continue;
      const int64_t below = job.resize.rows[first].high;
      blend_columns(job, small, strip.n, y, x, pixels, tiles.upper);
      blend_columns(job, small, strip.n, below, x, pixels, tiles.lower);
      begin();
      for (int64_t row = first; row < last; ++row) {
        const auto share = static_cast<float>(job.resize.rows[row].share);
        const vfloat down = broadcast(share), up = broadcast(1 - share);
        for (int64_t i = 0; i < classes * lanes; i += lanes)
          store(tiles.scores + i, up * load(tiles.upper + i) + down * load(tiles.lower + i));
        good = targets.read(strip.n, row, x, pixels) && good;
        fn(up, down, pixels, targets);
      }
      end(y, below, x, pixels);
    }
  }
  return good;
}

bool resized_forward(const CrossEntropyJob& job, const Arguments& a) {
  const Shape small = a.src[0].view.shape;
  Sums* sums = sums_of(job, a);
  parallel_for(job.chunks, [&](int64_t chunk, int thread) {
    const Tiles tiles = tiles_of(tiles_of(job, a, thread), small.c);
    Sums of_chunk{};
    const bool good = for_large_rows(
        job, a, strip_of(job, small, chunk), tiles, [] {},
        [&](vfloat, vfloat, int64_t pixels, const Targets& targets) {
          add_loss(tiles.scores, small.c, targets, pixels, of_chunk);
        },
        [](int64_t, int64_t, int64_t, int64_t) {});
    of_chunk.wrong = good ? 0 : 1;
    sums[chunk] = of_chunk;
  });
  return finish(job, a, sums);
}

void clear_pixels(float* row, int64_t pitch, const Shape& shape) {
  for (int64_t x = 0; x < shape.w; ++x) {
    for (int64_t c = 0; c < shape.c; c += lanes) store_some(row + x * pitch + c, zero(), shape.c - c);
  }
}

// Adds a tile's gradient to the pixels of a row of the small map that its columns blend.
[[gnu::always_inline]] inline void give_columns(const CrossEntropyJob& job, const float* tile, int64_t x,
                                                int64_t pixels, int64_t channels, float* row, int64_t pitch) {
  const Blend* columns = job.resize.columns + x;
  transpose_tile(tile, pixels, channels, [&](int64_t p, int64_t c, vfloat g) {
    const Blend h = columns[p];
    const vfloat left = broadcast(static_cast<float>(1 - h.share)), right = broadcast(static_cast<float>(h.share));
    float *low = row + h.low * pitch + c, *high = row + h.high * pitch + c;
    store_some(low, fma(left, g, load_some(low, channels - c)), channels - c);
    store_some(high, fma(right, g, load_some(high, channels - c)), channels - c);
  });
}

bool resized_backward(const CrossEntropyJob& job, const Arguments& a) {
  const Destination diff = a.dst[0];
  const Shape small = diff.view.shape;
  const int64_t each = small.c * lanes, pitch = diff.view.pixel_stride;
  auto* edges = reinterpret_cast<float*>(a.scratch + job.sums_offset);
  const auto edge_of = [&](int64_t chunk) { return edges + chunk * small.w * small.c; };
  const vfloat scale = scale_of(a);
  int wrong = 0;
  parallel_for(job.chunks, [&](int64_t chunk, int thread) {
    const Tiles tiles = tiles_of(tiles_of(job, a, thread), small.c);
    const Strip strip = strip_of(job, small, chunk);
    for (int64_t y = strip.first; y < strip.last && diff.mode == Mode::write; ++y)
      clear_pixels(diff.view.at<float>(strip.n, y, 0), pitch, small);
    clear_pixels(edge_of(chunk), small.c, small);
    const bool good = for_large_rows(
        job, a, strip, tiles,
        [&] {
          for (int64_t i = 0; i < each; i += lanes)
            store(tiles.diff_upper + i, zero()), store(tiles.diff_lower + i, zero());
        },
        [&](vfloat up, vfloat down, int64_t, const Targets& targets) {
          to_gradient(tiles.scores, small.c, targets, scale);
          for (int64_t i = 0; i < each; i += lanes) {
            const vfloat g = load(tiles.scores + i);
            store(tiles.diff_upper + i, fma(up, g, load(tiles.diff_upper + i)));
            store(tiles.diff_lower + i, fma(down, g, load(tiles.diff_lower + i)));
          }
        },
        [&](int64_t y, int64_t below, int64_t x, int64_t pixels) {
          const bool inside = below < strip.last;
          give_columns(job, tiles.diff_upper, x, pixels, small.c, diff.view.at<float>(strip.n, y, 0), pitch);
          give_columns(job, tiles.diff_lower, x, pixels, small.c,
                       inside ? diff.view.at<float>(strip.n, below, 0) : edge_of(chunk), inside ? pitch : small.c);
        });
    if (!good) __atomic_store_n(&wrong, 1, __ATOMIC_RELAXED);
  });
  parallel_for(job.chunks, [&](int64_t chunk, int) {
    const Strip strip = strip_of(job, small, chunk);
    for (int64_t x = 0; x < small.w && strip.last < small.h; ++x) {
      for (int64_t c = 0; c < small.c; c += lanes)
        put_some(diff.view.at<float>(strip.n, strip.last, x) + c,
                 load_some(edge_of(chunk) + x * small.c + c, small.c - c), small.c - c, Mode::add);
    }
  });
  return wrong == 0;
}

int64_t chunks(const Shape& shape) { return Rows(shape).chunks(); }

}  // namespace

const CrossEntropyEntries cross_entropy{forward, backward, resized_forward, resized_backward, chunks, lanes};

}  // namespace pixelwise::PIXELWISE_ISA
