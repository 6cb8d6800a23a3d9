// Pixel-wise softmax cross-entropy: with p = softmax(x), targets t (one-hot, soft, or ids) and class weights w,
//   loss = sum over pixels and classes of w_c t_c (-log p_c) / D,
//   d loss / d x_k = (p_k sum_c w_c t_c - w_k t_k) / D,
// where D is sum w_c t_c (mean), 1 (sum), N (batch), or given. Label smoothing replaces t by (1 - s) t + s / C * sum t,
// but not in D. Where the loss resizes its scores, x is a pixel of the resized map: a blend of four of the small one,
// which get their shares of the gradient.
#include <algorithm>
#include <cmath>

#include "kernels/blend.hpp"
#include "kernels/plain.hpp"
#include "kernels/vector/cross_entropy.hpp"
#include "pixelwise/core/checked.hpp"
#include "pixelwise/kernels/classify.hpp"

namespace pixelwise {
namespace {

// Four pixels of the small map, and their shares in a pixel of the resized one.
struct Corners {
  Blend v, h;

  /// fn(y, x, share)
  template <class Fn>
  void for_each(const Fn& fn) const {
    fn(v.low, h.low, (1 - v.share) * (1 - h.share));
    fn(v.low, h.high, (1 - v.share) * h.share);
    fn(v.high, h.low, v.share * (1 - h.share));
    fn(v.high, h.high, v.share * h.share);
  }
};

// The scores of every pixel that has a target: those of the map, or of the resized one.
template <class T>
class Scores {
 public:
  Scores(const SoftmaxCrossEntropySpec& spec, const Arguments& a)
      : resize_(spec.resize), resizes_(spec.resizes()), map_(a.src[0].view), pixel_(reinterpret_cast<T*>(a.scratch)) {}

  Shape shape() const {
    if (!resizes_) return map_.shape;
    return {map_.shape.n, resize_.size.h, resize_.size.w, map_.shape.c};
  }
  Corners corners(int64_t y, int64_t x) const {
    return {blend_of(resize_, y, map_.shape.h, resize_.size.h), blend_of(resize_, x, map_.shape.w, resize_.size.w)};
  }
  /// Good until the next call.
  const T* at(int64_t n, int64_t y, int64_t x) const {
    if (!resizes_) return map_.at<T>(n, y, x);
    const Corners from = corners(y, x);
    for (int64_t c = 0; c < map_.shape.c; ++c) {
      double blended = 0;
      from.for_each([&](int64_t i, int64_t j, double share) { blended += share * value_of(map_.at<T>(n, i, j)[c]); });
      pixel_[c] = element_of<T>(blended);
    }
    return pixel_;
  }

 private:
  ResizeSpec resize_;
  bool resizes_;
  View map_;
  T* pixel_;  // scratch
};

template <class T>
class Pixels {
 public:
  Pixels(const SoftmaxCrossEntropySpec& spec, const Arguments& a)
      : spec_(spec),
        scores_(spec, a),
        targets_(a.src[1].view),
        weights_(spec.class_weights ? a.parameters[0] : View{}) {}

  // fn(n, y, x, scores, weighted target of a class as a function, sum of the weighted targets, the same before
  // smoothing) for all pixels.
  template <class Fn>
  void for_each(const Fn& fn) const {
    const Shape shape = scores_.shape();
    for_each_pixel(shape, [&](int64_t n, int64_t y, int64_t x) {
      double mass = 0;  // sum of t: 1, or 0 where the pixel is void
      for (int64_t c = 0; c < shape.c; ++c) mass += target(n, y, x, c);
      const auto weighted = [&](int64_t c) {
        const double smooth = (1 - spec_.label_smoothing) * target(n, y, x, c) +
                              spec_.label_smoothing * mass / static_cast<double>(shape.c);
        return smooth * weight(c);
      };
      double sum = 0, hard = 0;
      for (int64_t c = 0; c < shape.c; ++c) sum += weighted(c), hard += weight(c) * target(n, y, x, c);
      fn(n, y, x, scores_.at(n, y, x), weighted, sum, hard);
    });
  }

  // Adds the gradient g of score c of a pixel to the map's.
  void give(const Destination& diff, int64_t n, int64_t y, int64_t x, int64_t c, double g) const {
    if (!spec_.resizes()) return put(diff.view.at<T>(n, y, x)[c], g, diff.mode);
    scores_.corners(y, x).for_each(
        [&](int64_t i, int64_t j, double share) { put(diff.view.at<T>(n, i, j)[c], share * g, Mode::add); });
  }

 private:
  double weight(int64_t c) const { return weights_ ? value_of(weights_.as<T>()[c]) : 1.0; }
  double target(int64_t n, int64_t y, int64_t x, int64_t c) const {
    if (targets_.type != Type::u8) return value_of(targets_.at<T>(n, y, x)[c]);
    const int64_t id = *targets_.at<uint8_t>(n, y, x), classes = scores_.shape().c;
    if (id != spec_.ignore_label && id >= classes)
      throw DataError(format("class id {} at pixel ({}, {}) of image {} of the batch: wanted 0 to {} or {} (void)", id,
                             x, y, n, classes - 1, spec_.ignore_label));
    return id == c && id != spec_.ignore_label ? 1 : 0;
  }

  SoftmaxCrossEntropySpec spec_;
  Scores<T> scores_;
  View targets_, weights_;
};

// log sum_k exp(x_k), without overflow
template <class T>
double log_sum_exp(const T* x, int64_t classes) {
  const double largest = *std::max_element(x, x + classes);
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[c] - largest);
  return largest + std::log(sum);
}

template <class T>
void forward(const SoftmaxCrossEntropySpec& s, const Arguments& a) {
  const int64_t classes = a.src[0].view.shape.c;
  double loss = 0, weight = 0;
  Pixels<T>(s, a).for_each(
      [&](int64_t, int64_t, int64_t, const T* scores, const auto& weighted, double sum, double hard) {
        weight += hard;
        if (sum == 0) return;
        const double normalizer = log_sum_exp(scores, classes);
        for (int64_t c = 0; c < classes; ++c) {
          if (const double w = weighted(c); w != 0) loss += w * (normalizer - scores[c]);
        }
      });
  double denominator = weight;
  if (s.normalize == LossNormalization::sum) denominator = 1;
  if (s.normalize == LossNormalization::batch) denominator = static_cast<double>(a.src[0].view.shape.n);
  if (s.shared_denominator) denominator = value_of(*a.src[2].view.as<T>());
  *a.dst[0].view.as<T>() = element_of<T>(denominator == 0 ? 0 : loss / denominator);
  *a.dst[1].view.as<T>() = element_of<T>(denominator);
}

template <class T>
void backward(const SoftmaxCrossEntropySpec& s, const Arguments& a) {
  const int64_t classes = a.src[0].view.shape.c;
  const double denominator = value_of(*a.src[2].view.as<T>());
  const double scale = denominator == 0 ? 0 : value_of(*a.src[3].view.as<T>()) / denominator;
  const Pixels<T> pixels(s, a);
  if (s.resizes()) clear<T>(a.dst[0]);
  pixels.for_each([&](int64_t n, int64_t y, int64_t x, const T* scores, const auto& weighted, double sum, double) {
    const double normalizer = sum == 0 ? 0 : log_sum_exp(scores, classes);
    for (int64_t c = 0; c < classes; ++c) {
      const double g = sum == 0 ? 0 : std::exp(scores[c] - normalizer) * sum - weighted(c);
      pixels.give(a.dst[0], n, y, x, c, scale * g);
    }
  });
}

// What the vector kernel needs to know of resizing. `large_rows`: see CrossEntropyJob.
struct Resizing {
  std::vector<Blend> rows, columns;
  std::vector<int64_t> large_rows;

  Resizing(const ResizeSpec& spec, const Shape& scores)
      : rows(blends_of(spec, scores.h, spec.size.h)), columns(blends_of(spec, scores.w, spec.size.w)) {
    for (int64_t y = 0; y <= scores.h; ++y) {
      const auto first = std::find_if(rows.begin(), rows.end(), [&](const Blend& blend) { return blend.low >= y; });
      large_rows.push_back(first - rows.begin());
    }
  }
};

// Strips of the small map that make about 64 Ki scores each.
int64_t strip_rows(const Shape& small, const Size& large) {
  const int64_t scores_of_row = std::max<int64_t>(1, large.h * large.w * small.c / small.h);
  return std::clamp<int64_t>((65536 + scores_of_row - 1) / scores_of_row, 1, small.h);
}

// Whatever the vector kernel finds wrong, the definition finds again, and says where.
Kernel vector_kernel(const SoftmaxCrossEntropySpec& spec, const Problem& problem, const Kernel& definition) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) {
    kernel.declined = "it is for f32";
    return kernel;
  }
  const CrossEntropyEntries& e = cross_entropy_entries(problem.isa);
  const bool is_forward = problem.pass == Pass::forward;
  const Shape scores = problem.src[0].shape;
  CrossEntropyJob job{spec, e.chunks(scores)};
  job.tile_floats = (spec.resizes() ? 6 : 2) * e.lanes * scores.c;
  int64_t bytes_of_chunk = is_forward ? 24 : 0;
  if (spec.resizes()) {
    job.strip = strip_rows(scores, spec.resize.size);
    job.chunks = scores.n * ((scores.h + job.strip - 1) / job.strip);
    if (!is_forward) bytes_of_chunk = scores.w * scores.c * 4;
  }
  job.sums_offset = round_up(problem.threads * job.tile_floats * 4, 64);
  kernel.scratch_bytes = job.sums_offset + job.chunks * bytes_of_chunk;
  const auto run = [describe = definition.run](auto kernel_run, const CrossEntropyJob& with, const Arguments& a) {
    if (!kernel_run(with, a)) describe(a);
  };
  if (!spec.resizes()) {
    kernel.run = [=](const Arguments& a) { run(is_forward ? e.forward : e.backward, job, a); };
    return kernel;
  }
  kernel.run = [=, resizing = Resizing(spec.resize, scores)](const Arguments& a) {
    CrossEntropyJob with = job;
    with.resize = {resizing.rows.data(), resizing.columns.data(), nullptr};
    with.large_rows = resizing.large_rows.data();
    run(is_forward ? e.resized_forward : e.resized_backward, with, a);
  };
  return kernel;
}

}  // namespace

Candidates softmax_cross_entropy_kernels(const SoftmaxCrossEntropySpec& spec, const Problem& problem) {
  const bool is_forward = problem.pass == Pass::forward;
  Kernel definition = definition_for<double, float>(
      problem.src[0].type,
      [spec, is_forward]<class T>(const Arguments& a) { is_forward ? forward<T>(spec, a) : backward<T>(spec, a); });
  const int64_t pixel_bytes = spec.resizes() ? problem.src[0].shape.c * size_of(problem.src[0].type) : 0;
  definition.scratch_bytes = pixel_bytes;
  const Kernel vector = vector_kernel(spec, problem, definition);
  return {vector, definition};
}

}  // namespace pixelwise
