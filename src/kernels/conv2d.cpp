// Convolution: shapes, and the definition in all three passes (PyTorch's conv2d; Dumoulin, Visin 2016, "A guide to
// convolution arithmetic for deep learning"). With o, i in the same group, k over the kernel and s, p, d = stride, pad,
// dilation:
//   y(n, q, o)        = bias(o) + sum over k, i of x(n, q s - p + k d, i) w(o, k, i)
//   diff_x(n, r, i)   = sum over k, o with q s - p + k d = r of diff_y(n, q, o) w(o, k, i)
//   diff_w(o, k, i)   = sum over n, q of x(n, q s - p + k d, i) diff_y(n, q, o)
// Transposed convolution is the same three sums with the roles of x and y swapped.
#include "pixelwise/kernels/conv2d.hpp"

#include <cmath>

#include "kernels/convolution.hpp"
#include "kernels/plain.hpp"

namespace pixelwise {
namespace {

bool is_depthwise(int64_t groups, int64_t in, int64_t out) { return groups == in && groups == out && groups > 1; }

template <class T>
T& weight_at(const Convolution& conv, const View& w, int64_t o, int64_t ky, int64_t kx, int64_t i) {
  return conv.depthwise() ? w.at<T>(0, ky, kx)[o] : w.at<T>(o, ky, kx)[i];
}

// The largest value(fine y, fine x) of the 2x2 window of pixel (y, x), whose first row and column are in the map; NaN
// wins, as in max pooling.
template <class Fn>
double largest_of_window(const Size& map, int64_t y, int64_t x, const Fn& value) {
  double largest = value(2 * y, 2 * x);
  for (int64_t i = 1; i < 4; ++i) {
    const int64_t fy = 2 * y + i / 2, fx = 2 * x + i % 2;
    if (fy >= map.h || fx >= map.w) continue;
    const double other = value(fy, fx);
    if (other > largest || other != other) largest = other;
  }
  return largest;
}

template <class T>
void fine_to_coarse(const Convolution& conv, const Arguments& a, const View& bias) {
  const View &dst = a.dst[0].view, &w = a.parameters[0];
  const int64_t in = conv.fine_channels / conv.groups, out = conv.coarse_channels / conv.groups;
  const auto sum_at = [&](int64_t n, int64_t y, int64_t x, int64_t o) {
    double sum = bias ? value_of(bias.as<T>()[o]) : 0;
    for (int64_t ky = 0; ky < conv.kernel.h; ++ky) {
      for (int64_t kx = 0; kx < conv.kernel.w; ++kx) {
        const int64_t sy = y * conv.stride.h - conv.pad.h + ky * conv.dilation.h;
        const int64_t sx = x * conv.stride.w - conv.pad.w + kx * conv.dilation.w;
        for (int64_t i = 0; i < in; ++i)
          sum += source_at<T>(a.src[0], n, sy, sx, o / out * in + i) * value_of(weight_at<T>(conv, w, o, ky, kx, i));
      }
    }
    return sum;
  };
  const bool pooled = conv.pooled.h > 0;
  for_each_pixel(dst.shape, [&](int64_t n, int64_t y, int64_t x) {
    for (int64_t o = 0; o < conv.coarse_channels; ++o) {
      if (pooled)
        put(dst.at<T>(n, y, x)[o],
            largest_of_window(
                conv.pooled, y, x,
                [&](int64_t fy, int64_t fx) { return finished<T>(a.epilogue, n, fy, fx, o, sum_at(n, fy, fx, o)); }),
            a.dst[0].mode);
      else
        leave<T>(a, n, y, x, o, sum_at(n, y, x, o));
    }
  });
  take_moments<T>(a);
}

template <class T>
void coarse_to_fine(const Convolution& conv, const Arguments& a, const View& bias) {
  const View &dst = a.dst[0].view, &w = a.parameters[0];
  const Shape coarse = a.src[0].view.shape;
  const int64_t in = conv.fine_channels / conv.groups, out = conv.coarse_channels / conv.groups;
  for_each_pixel(dst.shape, [&](int64_t n, int64_t y, int64_t x) {
    for (int64_t f = 0; f < conv.fine_channels; ++f) {
      double sum = bias ? value_of(bias.as<T>()[f]) : 0;
      for (int64_t ky = 0; ky < conv.kernel.h; ++ky) {
        for (int64_t kx = 0; kx < conv.kernel.w; ++kx) {
          const int64_t ry = y + conv.pad.h - ky * conv.dilation.h, rx = x + conv.pad.w - kx * conv.dilation.w;
          const int64_t qy = ry / conv.stride.h, qx = rx / conv.stride.w;
          if (ry < 0 || rx < 0 || ry % conv.stride.h || rx % conv.stride.w || qy >= coarse.h || qx >= coarse.w)
            continue;
          for (int64_t o = f / in * out; o < (f / in + 1) * out; ++o)
            sum += source_at<T>(a.src[0], n, qy, qx, o) * value_of(weight_at<T>(conv, w, o, ky, kx, f % in));
        }
      }
      leave<T>(a, n, y, x, f, sum);
    }
  });
  take_moments<T>(a);
}

// fine and coarse: which of x and diff_y has which role.
template <class T>
void weights_gradient(const Convolution& conv, const Arguments& a) {
  const Source &fine = a.src[conv.transposed ? 1 : 0], &coarse = a.src[conv.transposed ? 0 : 1];
  const Destination& diff = a.dst[0];
  const int64_t in = conv.fine_channels / conv.groups, out = conv.coarse_channels / conv.groups;
  for (int64_t o = 0; o < conv.coarse_channels; ++o) {
    for (int64_t ky = 0; ky < conv.kernel.h; ++ky) {
      for (int64_t kx = 0; kx < conv.kernel.w; ++kx) {
        for (int64_t i = 0; i < in; ++i) {
          double sum = 0;
          for_each_pixel(coarse.view.shape, [&](int64_t n, int64_t y, int64_t x) {
            const int64_t sy = y * conv.stride.h - conv.pad.h + ky * conv.dilation.h;
            const int64_t sx = x * conv.stride.w - conv.pad.w + kx * conv.dilation.w;
            sum += source_at<T>(fine, n, sy, sx, o / out * in + i) * source_at<T>(coarse, n, y, x, o);
          });
          put(weight_at<T>(conv, diff.view, o, ky, kx, i), sum, diff.mode);
        }
      }
    }
  }
  if (a.dst.size() < 2) return;
  const View& diff_y = a.src[1].view;
  for (int64_t c = 0; c < diff_y.shape.c; ++c) {
    double sum = 0;
    for_each_pixel(diff_y.shape, [&](int64_t n, int64_t y, int64_t x) { sum += value_of(diff_y.at<T>(n, y, x)[c]); });
    put(a.dst[1].view.as<T>()[c], sum, a.dst[1].mode);
  }
}

Kernel definition(const Convolution& conv, const Problem& problem) {
  const Pass pass = problem.pass;
  const bool coarser = (pass == Pass::forward) != conv.transposed;  // the pass that gathers from the fine map
  return definition_for<double, float>(problem.src[0].type, [conv, pass, coarser]<class T>(const Arguments& a) {
    if (pass == Pass::backward_weights) return weights_gradient<T>(conv, a);
    const View bias = pass == Pass::forward && a.parameters.size() > 1 ? a.parameters[1] : View{};
    coarser ? fine_to_coarse<T>(conv, a, bias) : coarse_to_fine<T>(conv, a, bias);
  });
}

Candidates candidates(const Convolution& conv, const Problem& problem) {
  Candidates all = fast_convolution_kernels(conv, problem);
  all.push_back(im2col_kernel(conv, problem));
  all.push_back(definition(conv, problem));
  return all;
}

}  // namespace

Size conv2d_size(const Conv2dSpec& s, Size src) {
  const auto extent = [](int64_t from, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    const int64_t room = from + 2 * pad - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  };
  return {extent(src.h, s.kernel.h, s.stride.h, s.pad.h, s.dilation.h),
          extent(src.w, s.kernel.w, s.stride.w, s.pad.w, s.dilation.w)};
}

Size conv_transpose2d_size(const ConvTranspose2dSpec& s, Size src) {
  return {(src.h - 1) * s.stride.h - 2 * s.pad.h + s.dilation.h * (s.kernel.h - 1) + 1 + s.output_pad.h,
          (src.w - 1) * s.stride.w - 2 * s.pad.w + s.dilation.w * (s.kernel.w - 1) + 1 + s.output_pad.w};
}

Shape conv2d_weights_shape(const Conv2dSpec& s, int64_t in) {
  if (is_depthwise(s.groups, in, s.out_channels)) return {1, s.kernel.h, s.kernel.w, in};
  return {s.out_channels, s.kernel.h, s.kernel.w, in / s.groups};
}

Shape conv_transpose2d_weights_shape(const ConvTranspose2dSpec& s, int64_t in) {
  if (is_depthwise(s.groups, in, s.out_channels)) return {1, s.kernel.h, s.kernel.w, in};
  return {in, s.kernel.h, s.kernel.w, s.out_channels / s.groups};
}

// (1 - |x - centre| / factor), with factor = ceil(k / 2) the stride it upsamples by.
void fill_bilinear(const View& weights) {
  const Shape s = weights.shape;
  const auto tent = [](int64_t i, int64_t k) {
    const auto factor = static_cast<double>((k + 1) / 2);
    const double centre = k % 2 ? factor - 1 : factor - 0.5;
    return 1 - std::abs(static_cast<double>(i) - centre) / factor;
  };
  const auto fill = [&]<class T>(T) {
    for_each_pixel(s, [&](int64_t n, int64_t y, int64_t x) {
      for (int64_t c = 0; c < s.c; ++c)
        weights.at<T>(n, y, x)[c] = static_cast<T>(n == c || s.n == 1 || s.c == 1 ? tent(y, s.h) * tent(x, s.w) : 0);
    });
  };
  weights.type == Type::f64 ? fill(double{}) : fill(float{});
}

Candidates conv2d_kernels_by_rule(const Conv2dSpec& s, const Problem& problem) {
  const Shape x = problem.pass == Pass::backward_data ? problem.dst[0].shape : problem.src[0].shape;
  Convolution conv{s.kernel, s.stride, s.pad, s.dilation, s.groups, x.c, s.out_channels, false};
  if (pools(problem)) conv.pooled = problem.dst[0].shape.size();
  return candidates(conv, problem);
}

Candidates conv2d_kernels(const Conv2dSpec& s, const Problem& problem) {
  Candidates all = conv2d_kernels_by_rule(s, problem);
  prefer_measured(all, s, problem);
  return all;
}

Candidates conv_transpose2d_kernels(const ConvTranspose2dSpec& s, const Problem& problem) {
  const Shape x = problem.pass == Pass::backward_data ? problem.dst[0].shape : problem.src[0].shape;
  return candidates({s.kernel, s.stride, s.pad, s.dilation, s.groups, s.out_channels, x.c, true}, problem);
}

}  // namespace pixelwise
