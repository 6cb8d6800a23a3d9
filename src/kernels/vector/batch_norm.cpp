// Batch normalisation, vectorised over the channels. Images are cut into strips of rows (from shapes only); each strip
// sums for itself, the strips are merged in order in double.
#include "kernels/vector/batch_norm.hpp"

#include <cmath>

#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

struct Strip {
  int64_t n, first, last;
};
Strip strip_of(const BatchNormJob& job, const Shape& shape, int64_t chunk) {
  const int64_t n = chunk / job.strips, first = chunk % job.strips * job.rows;
  const int64_t last = first + job.rows;
  return {n, first, last < shape.h ? last : shape.h};
}

// to[0..n) += v, in double.
[[gnu::always_inline]] inline void add_wide(double* to, vfloat v, int64_t n) {
  alignas(vector_bytes) float values[lanes];
  store(values, v);
  if (n == lanes) {
    for (int i = 0; i < lanes; ++i) to[i] += static_cast<double>(values[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] += static_cast<double>(values[i]);
  }
}

// Adds fn(n, y, x, c, count of lanes) -> {a, b} over a strip into sums[0..C) and sums[C..2C): floats along a row,
// doubles over the rows. A few pixels at a time are read from their first channel to their last, as they lie in memory.
template <class Fn>
void strip_sums(const Shape& shape, const Strip& strip, double* sums, const Fn& fn) {
  constexpr int64_t most = 1024, together = 4;  // channels of which the sums of a row stay in L1; pixels
  alignas(vector_bytes) float row[2][most];
  for (int64_t c = 0; c < 2 * shape.c; ++c) sums[c] = 0;
  for (int64_t y = strip.first; y < strip.last; ++y) {
    for (int64_t c0 = 0; c0 < shape.c; c0 += most) {
      const int64_t channels = shape.c - c0 < most ? shape.c - c0 : most;
      for (float(&sums_of_row)[most] : row)
        std::memset(sums_of_row, 0, static_cast<size_t>((channels + lanes - 1) / lanes * lanes) * sizeof(float));
      for (int64_t x0 = 0; x0 < shape.w; x0 += together) {
        const int64_t end = x0 + together < shape.w ? x0 + together : shape.w;
        for (int64_t c = 0; c < channels; c += lanes) {
          const int64_t left = channels - c < lanes ? channels - c : lanes;
          vfloat a = load(row[0] + c), b = load(row[1] + c);
          for (int64_t x = x0; x < end; ++x) fn(strip.n, y, x, c0 + c, left, a, b);
          store(row[0] + c, a);
          store(row[1] + c, b);
        }
      }
      for (int64_t c = 0; c < channels; c += lanes) {
        const int64_t left = channels - c < lanes ? channels - c : lanes;
        add_wide(sums + c0 + c, load(row[0] + c), left);
        add_wide(sums + shape.c + c0 + c, load(row[1] + c), left);
      }
    }
  }
}

// Sums of all strips, merged in order.
template <class Fn>
void all_sums(const BatchNormJob& job, const Shape& shape, const Arguments& a, double* total, const Fn& fn) {
  auto* parts = reinterpret_cast<double*>(a.scratch) + 2 * shape.c;
  const int64_t chunks = shape.n * job.strips;
  parallel_for(chunks, [&](int64_t chunk, int) {
    strip_sums(shape, strip_of(job, shape, chunk), parts + chunk * 2 * shape.c, fn);
  });
  for (int64_t c = 0; c < 2 * shape.c; ++c) total[c] = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t c = 0; c < 2 * shape.c; ++c) total[c] += parts[chunk * 2 * shape.c + c];
}

// The mean of at most 64 pixels from all over the batch; `sums` is scratch for C doubles.
void sample_mean(const View& x, double* sums, float* mean) {
  const int64_t pixels = x.shape.n * x.shape.h * x.shape.w, samples = pixels < 64 ? pixels : 64;
  for (int64_t c = 0; c < x.shape.c; ++c) sums[c] = 0;
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t at = i * pixels / samples, row = at / x.shape.w;
    const float* pixel = x.at<float>(row / x.shape.h, row % x.shape.h, at % x.shape.w);
    for (int64_t c = 0; c < x.shape.c; ++c) sums[c] += pixel[c];
  }
  for (int64_t c = 0; c < x.shape.c; ++c) mean[c] = static_cast<float>(sums[c] / static_cast<double>(samples));
}

// moments = mean and variance of x, C of each; `about` is scratch for C floats.
void sum_moments(const BatchNormJob& job, const Arguments& a, double* moments, float* about) {
  const View x = a.src[0].view;
  const auto count = static_cast<double>(x.shape.n * x.shape.h * x.shape.w);
  // Shifted to about the mean, so that sum of squares - square of sum loses nothing.
  sample_mean(x, moments, about);
  all_sums(job, x.shape, a, moments,
           [&](int64_t n, int64_t i, int64_t j, int64_t c, int64_t left, vfloat& sum, vfloat& squares) {
             const vfloat shifted = load_some(x.at<float>(n, i, j) + c, left) - load_some(about + c, left);
             sum += shifted;
             squares = fma(shifted, shifted, squares);
           });
  for (int64_t c = 0; c < x.shape.c; ++c) {
    const double shifted = moments[c] / count;
    const double raw = moments[x.shape.c + c] / count - shifted * shifted;
    moments[c] = shifted + about[c];
    moments[x.shape.c + c] = raw > 0 || raw != raw ? raw : 0;
  }
}

// y = act(x * scale + shift + residual)
void apply(const BatchNormJob& job, const Arguments& a, const float* scale, const float* shift) {
  const View x = a.src[0].view, y = a.dst[0].view, residual = a.epilogue.residual;
  const Activation act = a.epilogue.act;
  const Writer write(a.dst[0]);
  parallel_for(x.shape.n * job.strips, [&](int64_t chunk, int) {
    const Strip s = strip_of(job, x.shape, chunk);
    for (int64_t i = s.first; i < s.last; ++i) {
      for (int64_t j = 0; j < x.shape.w; ++j) {
        for (int64_t c = 0; c < x.shape.c; c += lanes) {
          const int64_t left = x.shape.c - c;
          vfloat scaled =
              fma(load_some(x.at<float>(s.n, i, j) + c, left), load_some(scale + c, left), load_some(shift + c, left));
          if (residual) scaled += load_some(residual.at<float>(s.n, i, j) + c, left);
          write(y.at<float>(s.n, i, j) + c, activate(scaled, act), left);
        }
      }
    }
  });
}

}  // namespace

void batch_norm_forward(const BatchNormJob& job, const Arguments& a) {
  const View x = a.src[0].view;
  const int64_t channels = x.shape.c;
  const auto count = static_cast<double>(x.shape.n * x.shape.h * x.shape.w);
  auto* total = reinterpret_cast<double*>(a.scratch);
  auto* factors = reinterpret_cast<float*>(a.scratch + job.factors_offset);
  const float *weight = a.parameters[0].as<float>(), *bias = a.parameters[1].as<float>();
  float *running_mean = a.parameters[2].as<float>(), *running_var = a.parameters[3].as<float>();
  if (!job.training) {
    for (int64_t c = 0; c < channels; ++c) {
      const double scale = weight[c] / std::sqrt(running_var[c] + job.eps);
      factors[c] = static_cast<float>(scale);
      factors[channels + c] = static_cast<float>(bias[c] - running_mean[c] * scale);
    }
    return apply(job, a, factors, factors + channels);
  }
  const double* moments = a.src.size() > 1 ? a.src[1].view.as<double>() : total;
  if (a.src.size() < 2) sum_moments(job, a, total, factors);
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = moments[c], variance = moments[channels + c];
    const double inverse = 1 / std::sqrt(variance + job.eps);
    running_mean[c] = static_cast<float>((1 - job.momentum) * running_mean[c] + job.momentum * mean);
    running_var[c] =
        static_cast<float>((1 - job.momentum) * running_var[c] + job.momentum * variance * count / (count - 1));
    a.dst[1].view.as<float>()[c] = static_cast<float>(mean);
    a.dst[2].view.as<float>()[c] = static_cast<float>(inverse);
    a.dst[3].view.as<float>()[c] = static_cast<float>(weight[c] * inverse);
    a.dst[4].view.as<float>()[c] = static_cast<float>(bias[c] - mean * weight[c] * inverse);
  }
  if (a.dst[0].view) apply(job, a, a.dst[3].view.as<float>(), a.dst[4].view.as<float>());
}

// As the definition (kernels/batch_norm.cpp): diff_x = scale g - through - centred * slope.
void batch_norm_backward(const BatchNormJob& job, const Arguments& a) {
  const View x = a.src[0].view, diff_y = a.src[1].view, diff_x = a.dst[0].view;
  const Activation act = a.epilogue.gate_act;
  const int64_t channels = x.shape.c;
  const auto count = static_cast<double>(x.shape.n * x.shape.h * x.shape.w);
  auto* total = reinterpret_cast<double*>(a.scratch);
  auto* factors = reinterpret_cast<float*>(a.scratch + job.factors_offset);
  const float *mean = a.src[2].view.as<float>(), *inverse = a.src[3].view.as<float>(),
              *y_scale = a.src[4].view.as<float>(), *y_shift = a.src[5].view.as<float>();
  // diff_y where the activation let y = scale x + shift through.
  const auto gradient = [&](int64_t n, int64_t i, int64_t j, int64_t c, int64_t left, vfloat value) {
    const vfloat g = load_some(diff_y.at<float>(n, i, j) + c, left);
    if (act == Activation::none) return g;
    return gated(g, fma(value, load_some(y_scale + c, left), load_some(y_shift + c, left)), act);
  };
  all_sums(job, x.shape, a, total,
           [&](int64_t n, int64_t i, int64_t j, int64_t c, int64_t left, vfloat& sum, vfloat& product) {
             const vfloat value = load_some(x.at<float>(n, i, j) + c, left);
             const vfloat g = gradient(n, i, j, c, left, value);
             sum += g;
             product = fma(g, value - load_some(mean + c, left), product);
           });
  for (int64_t c = 0; c < channels; ++c) {
    const double diff_bias = total[c], diff_weight = total[channels + c] * inverse[c];
    const double scale = y_scale[c];
    factors[c] = static_cast<float>(scale);
    factors[channels + c] = static_cast<float>(scale * diff_bias / count);
    factors[2 * channels + c] = static_cast<float>(scale * diff_weight / count * inverse[c]);
    float &dw = a.dst[1].view.as<float>()[c], &db = a.dst[2].view.as<float>()[c];
    dw = static_cast<float>(diff_weight + (a.dst[1].mode == Mode::add ? dw : 0));
    db = static_cast<float>(diff_bias + (a.dst[2].mode == Mode::add ? db : 0));
  }
  const Writer write(a.dst[0]);
  parallel_for(x.shape.n * job.strips, [&](int64_t chunk, int) {
    const Strip s = strip_of(job, x.shape, chunk);
    for (int64_t i = s.first; i < s.last; ++i) {
      for (int64_t j = 0; j < x.shape.w; ++j) {
        for (int64_t c = 0; c < channels; c += lanes) {
          const int64_t left = channels - c;
          const vfloat value = load_some(x.at<float>(s.n, i, j) + c, left);
          const vfloat centred = value - load_some(mean + c, left);
          const vfloat d = load_some(factors + c, left) * gradient(s.n, i, j, c, left, value) -
                           load_some(factors + channels + c, left) -
                           centred * load_some(factors + 2 * channels + c, left);
          write(diff_x.at<float>(s.n, i, j) + c, d, left);
        }
      }
    }
  });
}

}  // namespace pixelwise::PIXELWISE_ISA
