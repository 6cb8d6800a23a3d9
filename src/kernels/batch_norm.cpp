// Batch normalisation (Ioffe, Szegedy 2015, algorithm 1) and its gradient: the definition and the selection.
#include "pixelwise/kernels/batch_norm.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/plain.hpp"
#include "kernels/vector/batch_norm.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

template <class T>
T& channel(const View& vector, int64_t c) {
  return vector.as<T>()[c];
}

template <class T, class Fn>
double sum_over_pixels(const Shape& shape, const Fn& term) {
  double sum = 0;
  for_each_pixel(shape, [&](int64_t n, int64_t y, int64_t x) { sum += term(n, y, x); });
  return sum;
}

// (x - mean) * inverse_deviation * weight + bias = scale * x + shift
struct Line {
  double scale, shift;
};
template <class T>
Line line(const Arguments& a, int64_t c, double mean, double inverse_deviation) {
  const double scale = value_of(channel<T>(a.parameters[0], c)) * inverse_deviation;
  return {scale, value_of(channel<T>(a.parameters[1], c)) - mean * scale};
}

// y = act(scale * x + shift + residual)
template <class T>
void normalise(const Arguments& a, int64_t c, const Line& line) {
  const View &x = a.src[0].view, &y = a.dst[0].view;
  if (!y) return;
  for_each_pixel(x.shape, [&](int64_t n, int64_t i, int64_t j) {
    double result = line.scale * value_of(x.at<T>(n, i, j)[c]) + line.shift;
    if (a.epilogue.residual) result += value_of(a.epilogue.residual.at<T>(n, i, j)[c]);
    y.at<T>(n, i, j)[c] = element_of<T>(activated(result, a.epilogue.act));
  });
}

struct MeanAndVariance {
  double mean, variance;
};
// Of a channel of x: what the convolution before has taken, where it has.
template <class T>
MeanAndVariance moments_of(const Arguments& a, int64_t c) {
  const View& x = a.src[0].view;
  if (a.src.size() > 1) return {a.src[1].view.as<double>()[c], a.src[1].view.as<double>()[x.shape.c + c]};
  const auto count = static_cast<double>(x.shape.pixels());
  const double mean =
      sum_over_pixels<T>(x.shape, [&](int64_t n, int64_t i, int64_t j) { return value_of(x.at<T>(n, i, j)[c]); }) /
      count;
  const auto squared = [&](int64_t n, int64_t i, int64_t j) {
    const double centred = value_of(x.at<T>(n, i, j)[c]) - mean;
    return centred * centred;
  };
  return {mean, sum_over_pixels<T>(x.shape, squared) / count};
}

template <class T>
void forward_training(const BatchNormSpec& s, const Arguments& a) {
  const View& x = a.src[0].view;
  const auto count = static_cast<double>(x.shape.pixels());
  if (count < 2) throw UsageError("batch norm over one value per channel: use a larger batch or crop");
  for (int64_t c = 0; c < x.shape.c; ++c) {
    const auto [mean, variance] = moments_of<T>(a, c);
    const double inverse_deviation = 1 / std::sqrt(variance + s.eps);
    T &running_mean = channel<T>(a.parameters[2], c), &running_var = channel<T>(a.parameters[3], c);
    running_mean = element_of<T>((1 - s.momentum) * value_of(running_mean) + s.momentum * mean);
    running_var = element_of<T>((1 - s.momentum) * value_of(running_var) + s.momentum * variance * count / (count - 1));
    channel<T>(a.dst[1].view, c) = element_of<T>(mean);
    channel<T>(a.dst[2].view, c) = element_of<T>(inverse_deviation);
    const Line of_x = line<T>(a, c, mean, inverse_deviation);
    T &scale = channel<T>(a.dst[3].view, c), &shift = channel<T>(a.dst[4].view, c);
    scale = element_of<T>(of_x.scale), shift = element_of<T>(of_x.shift);
    normalise<T>(a, c, {value_of(scale), value_of(shift)});  // the same bits as for who normalises with these later
  }
}

template <class T>
void forward_inference(const BatchNormSpec& s, const Arguments& a) {
  for (int64_t c = 0; c < a.src[0].view.shape.c; ++c)
    normalise<T>(a, c,
                 line<T>(a, c, value_of(channel<T>(a.parameters[2], c)),
                         1 / std::sqrt(value_of(channel<T>(a.parameters[3], c)) + s.eps)));
}

// With h = (x - mean) * inverse_deviation, g = diff_y where the activation let y = scale * x + shift through, and m
// pixels:
//   diff_bias = sum g;  diff_weight = sum g h;
//   diff_x = weight * inverse_deviation * (g - diff_bias / m - h * diff_weight / m)   in training,
//   diff_x = weight * inverse_deviation * g                                           with constant statistics.
template <class T>
void backward(const BatchNormSpec& s, const Arguments& a) {
  const bool training = s.phase == Phase::training;
  const View &x = a.src[0].view, &diff_y = a.src[1].view;
  const auto count = static_cast<double>(x.shape.pixels());
  for (int64_t c = 0; c < x.shape.c; ++c) {
    const double mean = value_of(channel<T>(training ? a.src[2].view : a.parameters[2], c));
    const double inverse_deviation = training ? value_of(channel<T>(a.src[3].view, c))
                                              : 1 / std::sqrt(value_of(channel<T>(a.parameters[3], c)) + s.eps);
    const Line of_x = training ? Line{value_of(channel<T>(a.src[4].view, c)), value_of(channel<T>(a.src[5].view, c))}
                               : line<T>(a, c, mean, inverse_deviation);
    const auto h = [&](int64_t n, int64_t i, int64_t j) {
      return (value_of(x.at<T>(n, i, j)[c]) - mean) * inverse_deviation;
    };
    const auto g = [&](int64_t n, int64_t i, int64_t j) {
      return value_of(diff_y.at<T>(n, i, j)[c]) *
             passes(of_x.scale * value_of(x.at<T>(n, i, j)[c]) + of_x.shift, a.epilogue.gate_act);
    };
    const double diff_bias = sum_over_pixels<T>(x.shape, g);
    const double diff_weight =
        sum_over_pixels<T>(x.shape, [&](int64_t n, int64_t i, int64_t j) { return g(n, i, j) * h(n, i, j); });
    for_each_pixel(x.shape, [&](int64_t n, int64_t i, int64_t j) {
      const double through = training ? (diff_bias + h(n, i, j) * diff_weight) / count : 0;
      put(a.dst[0].view.at<T>(n, i, j)[c], of_x.scale * (g(n, i, j) - through), a.dst[0].mode);
    });
    put(channel<T>(a.dst[1].view, c), diff_weight, a.dst[1].mode);
    put(channel<T>(a.dst[2].view, c), diff_bias, a.dst[2].mode);
  }
}

// One entry point per instruction set, in the order of Isa.
using Entry = void (*)(const BatchNormJob&, const Arguments&);
#ifdef PIXELWISE_X86
constexpr Entry forward_entries[] = {baseline::batch_norm_forward, avx2::batch_norm_forward, avx512::batch_norm_forward,
                                     avx512::batch_norm_forward};
constexpr Entry backward_entries[] = {baseline::batch_norm_backward, avx2::batch_norm_backward,
                                      avx512::batch_norm_backward, avx512::batch_norm_backward};
#else
constexpr Entry forward_entries[] = {baseline::batch_norm_forward};
constexpr Entry backward_entries[] = {baseline::batch_norm_backward};
#endif

// Strips of 64 KiB of x or more, at most 64 in all: from shapes only.
Kernel vector_kernel(const BatchNormSpec& spec, const Problem& problem) {
  Kernel kernel{"vector"};
  const bool is_forward = problem.pass == Pass::forward;
  const Shape x = problem.src[0].shape;
  if (problem.src[0].type != Type::f32) kernel.declined = "it is for f32";
  if (!is_forward && spec.phase == Phase::inference)
    kernel.declined = "the gradient with constant statistics is not vectorised";
  if (x.pixels() < 2 && spec.phase == Phase::training) kernel.declined = "one value per channel";
  if (!kernel.declined.empty()) return kernel;
  BatchNormJob job{spec.eps, spec.momentum, spec.phase == Phase::training};
  const int64_t by_size = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, x.w * x.c)),
                most = std::max<int64_t>(1, 64 / x.n);
  job.rows = std::max(by_size, ceil_div(x.h, most));
  job.strips = ceil_div(x.h, job.rows);
  job.factors_offset = round_up((1 + x.n * job.strips) * 2 * x.c * 8, 64);
  kernel.scratch_bytes = job.factors_offset + 3 * x.c * 4;
  const Entry run = (is_forward ? forward_entries : backward_entries)[static_cast<size_t>(problem.isa)];
  kernel.run = [job, run](const Arguments& a) { run(job, a); };
  return kernel;
}

}  // namespace

Candidates batch_norm_kernels(const BatchNormSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel(spec, problem),
          definition_for<double, float>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
            if (!forward) return backward<T>(spec, a);
            spec.phase == Phase::training ? forward_training<T>(spec, a) : forward_inference<T>(spec, a);
          })};
}

}  // namespace pixelwise
