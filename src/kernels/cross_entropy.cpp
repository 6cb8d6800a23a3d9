// Pixel-wise softmax cross-entropy: with p = softmax(x), targets t (one-hot, soft, or ids) and class weights w,
//   loss = sum over pixels and classes of w_c t_c (-log p_c) / D,
//   d loss / d x_k = (p_k sum_c w_c t_c - w_k t_k) / D,
// where D is sum w_c t_c (mean), 1 (sum), N (batch), or given. Label smoothing replaces t by (1 - s) t + s / C * sum t,
// but not in D.
#include <algorithm>
#include <cmath>

#include "kernels/plain.hpp"
#include "kernels/vector/classify.hpp"
#include "pixelwise/core/checked.hpp"
#include "pixelwise/kernels/classify.hpp"

namespace pixelwise {
namespace {

template <class T>
class Pixels {
 public:
  Pixels(const SoftmaxCrossEntropySpec& spec, const Arguments& a)
      : spec_(spec),
        scores_(a.src[0].view),
        targets_(a.src[1].view),
        weights_(spec.class_weights ? a.parameters[0] : View{}) {}

  // fn(n, y, x, scores, weighted target of a class as a function, sum of the weighted targets, the same before
  // smoothing) for all pixels.
  template <class Fn>
  void for_each(const Fn& fn) const {
    const int64_t classes = scores_.shape.c;
    for_each_pixel(scores_.shape, [&](int64_t n, int64_t y, int64_t x) {
      double mass = 0;  // sum of t: 1, or 0 where the pixel is void
      for (int64_t c = 0; c < classes; ++c) mass += target(n, y, x, c);
      const auto weighted = [&](int64_t c) {
        const double smooth = (1 - spec_.label_smoothing) * target(n, y, x, c) +
                              spec_.label_smoothing * mass / static_cast<double>(classes);
        return smooth * weight(c);
      };
      double sum = 0, hard = 0;
      for (int64_t c = 0; c < classes; ++c) sum += weighted(c), hard += weight(c) * target(n, y, x, c);
      fn(n, y, x, scores_.at<T>(n, y, x), weighted, sum, hard);
    });
  }

 private:
  double weight(int64_t c) const { return weights_ ? value_of(weights_.as<T>()[c]) : 1.0; }
  double target(int64_t n, int64_t y, int64_t x, int64_t c) const {
    if (targets_.type == scores_.type) return value_of(targets_.at<T>(n, y, x)[c]);
    const int64_t id = *targets_.at<uint8_t>(n, y, x);
    if (id != spec_.ignore_label && id >= scores_.shape.c)
      throw DataError(format("class id {} at pixel ({}, {}) of image {} of the batch: wanted 0 to {} or {} (void)", id,
                             x, y, n, scores_.shape.c - 1, spec_.ignore_label));
    return id == c && id != spec_.ignore_label ? 1 : 0;
  }

  SoftmaxCrossEntropySpec spec_;
  View scores_, targets_, weights_;
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
  Pixels<T>(s, a).for_each(
      [&](int64_t n, int64_t y, int64_t x, const T* scores, const auto& weighted, double sum, double) {
        T* diff = a.dst[0].view.at<T>(n, y, x);
        const double normalizer = sum == 0 ? 0 : log_sum_exp(scores, classes);
        for (int64_t c = 0; c < classes; ++c) {
          const double g = sum == 0 ? 0 : std::exp(scores[c] - normalizer) * sum - weighted(c);
          put(diff[c], scale * g, a.dst[0].mode);
        }
      });
}

// Whatever the vector kernel finds wrong, the definition finds again, and says where.
Kernel vector_kernel(const SoftmaxCrossEntropySpec& spec, const Problem& problem, const Kernel& definition) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) kernel.declined = "it is for f32";
  const ClassifyEntries& e = classify_entries(problem.isa);
  const Shape scores = problem.src[0].shape;
  ClassifyJob job{2 * e.lanes * scores.c, 0, spec};  // scores and targets
  job.sums_offset = round_up(problem.threads * job.tile_floats * 4, 64);
  kernel.scratch_bytes = job.sums_offset + 3 * e.chunks(scores) * 8;
  const auto run = problem.pass == Pass::forward ? e.cross_entropy : e.cross_entropy_backward;
  kernel.run = [job, run, describe = definition.run](const Arguments& a) {
    if (!run(job, a)) describe(a);
  };
  return kernel;
}

}  // namespace

Candidates softmax_cross_entropy_kernels(const SoftmaxCrossEntropySpec& spec, const Problem& problem) {
  const bool is_forward = problem.pass == Pass::forward;
  const Kernel definition = definition_for<double, float>(
      problem.src[0].type,
      [spec, is_forward]<class T>(const Arguments& a) { is_forward ? forward<T>(spec, a) : backward<T>(spec, a); });
  return {vector_kernel(spec, problem, definition), definition};
}

}  // namespace pixelwise
