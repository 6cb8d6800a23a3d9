// Max pooling, unpooling (Zeiler, Fergus 2014; SegNet section 3.1) and average pooling, and their gradients: the
// definitions and the selection.
#include "pixelwise/kernels/pooling.hpp"

#include <algorithm>

#include "kernels/plain.hpp"
#include "kernels/vector/pooling.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

// dst(y, x) = max over (ky, kx) of src(y * stride - pad + k); the first of equals wins, NaN always (as PyTorch).
template <class T>
void max_pool(const MaxPool2dSpec& s, const Arguments& a) {
  const View &src = a.src[0].view, &dst = a.dst[0].view, &indices = a.dst[1].view;
  for_each_pixel(dst.shape, [&](int64_t n, int64_t y, int64_t x) {
    for (int64_t c = 0; c < dst.shape.c; ++c) {
      bool found = false;
      T best{};
      uint8_t index = 0;
      for (int64_t ky = 0; ky < s.kernel.h; ++ky) {
        for (int64_t kx = 0; kx < s.kernel.w; ++kx) {
          const int64_t sy = y * s.stride.h - s.pad.h + ky, sx = x * s.stride.w - s.pad.w + kx;
          if (sy < 0 || sy >= src.shape.h || sx < 0 || sx >= src.shape.w) continue;
          const T value = src.at<T>(n, sy, sx)[c];
          const double v = value_of(value);
          if (found && !(v > value_of(best)) && v == v) continue;
          found = true;
          best = value;
          index = static_cast<uint8_t>(ky * s.kernel.w + kx);
        }
      }
      dst.at<T>(n, y, x)[c] = best;
      indices.at<uint8_t>(n, y, x)[c] = index;
    }
  });
}

// Calls fn(coarse element, fine element) for every pooled pixel and the place that its index names.
template <class T, class Spec, class Fn>
void for_each_place(const Spec& s, const View& coarse, const View& indices, const View& fine, const Fn& fn) {
  for_each_pixel(coarse.shape, [&](int64_t n, int64_t y, int64_t x) {
    for (int64_t c = 0; c < coarse.shape.c; ++c) {
      const int64_t index = indices.at<uint8_t>(n, y, x)[c];
      const int64_t fy = y * s.stride.h - s.pad.h + index / s.kernel.w,
                    fx = x * s.stride.w - s.pad.w + index % s.kernel.w;
      if (fy < 0 || fy >= fine.shape.h || fx < 0 || fx >= fine.shape.w)
        throw DataError(format("pooling index {} at ({}, {}) leads out of the map", index, y, x));
      fn(coarse.at<T>(n, y, x)[c], fine.at<T>(n, fy, fx)[c]);
    }
  });
}

template <class T>
void max_pool_backward(const MaxPool2dSpec& s, const Arguments& a) {
  clear<T>(a.dst[0]);
  for_each_place<T>(s, a.src[0].view, a.src[1].view, a.dst[0].view,
                    [](const T& diff_dst, T& diff_src) { put(diff_src, value_of(diff_dst), Mode::add); });
}

template <class T>
void max_unpool(const MaxUnpool2dSpec& s, const Arguments& a) {
  clear<T>({a.dst[0].view, Mode::write});
  for_each_place<T>(s, a.src[0].view, a.src[1].view, a.dst[0].view, [](const T& src, T& dst) { dst = src; });
}

// Reads the gradient at the places that were written. (Where windows overlap and one overwrote another, both read, as
// PyTorch's.)
template <class T>
void max_unpool_backward(const MaxUnpool2dSpec& s, const Arguments& a) {
  const Mode mode = a.dst[0].mode;
  for_each_place<T>(s, a.dst[0].view, a.src[1].view, a.src[0].view,
                    [mode](T& diff_src, const T& diff_dst) { put(diff_src, value_of(diff_dst), mode); });
}

// The window of one pooled pixel along one axis, and its extent with padding (but not beyond it), as PyTorch counts.
struct Window {
  int64_t first, last, padded;
};
Window window_of(int64_t i, int64_t kernel, int64_t stride, int64_t pad, int64_t extent) {
  const int64_t start = i * stride - pad, end = std::min(start + kernel, extent + pad);
  return {std::max<int64_t>(start, 0), std::min(end, extent), end - start};
}

template <class Fn>
void for_each_window(const AvgPool2dSpec& s, const Shape& fine, const Shape& coarse, const Fn& fn) {
  for_each_pixel(coarse, [&](int64_t n, int64_t y, int64_t x) {
    const Window v = window_of(y, s.kernel.h, s.stride.h, s.pad.h, fine.h);
    const Window h = window_of(x, s.kernel.w, s.stride.w, s.pad.w, fine.w);
    const int64_t count = s.count_include_pad ? v.padded * h.padded : (v.last - v.first) * (h.last - h.first);
    fn(n, y, x, v, h, static_cast<double>(count));
  });
}

template <class T>
void avg_pool(const AvgPool2dSpec& s, const Arguments& a) {
  const View &src = a.src[0].view, &dst = a.dst[0].view;
  for_each_window(s, src.shape, dst.shape, [&](int64_t n, int64_t y, int64_t x, Window v, Window h, double count) {
    for (int64_t c = 0; c < dst.shape.c; ++c) {
      double sum = 0;
      for (int64_t sy = v.first; sy < v.last; ++sy) {
        for (int64_t sx = h.first; sx < h.last; ++sx) sum += value_of(src.at<T>(n, sy, sx)[c]);
      }
      dst.at<T>(n, y, x)[c] = element_of<T>(sum / count);
    }
  });
}

template <class T>
void avg_pool_backward(const AvgPool2dSpec& s, const Arguments& a) {
  const View &diff_dst = a.src[0].view, &diff_src = a.dst[0].view;
  clear<T>(a.dst[0]);
  for_each_window(s, diff_src.shape, diff_dst.shape,
                  [&](int64_t n, int64_t y, int64_t x, Window v, Window h, double count) {
                    for (int64_t c = 0; c < diff_dst.shape.c; ++c) {
                      const double share = value_of(diff_dst.at<T>(n, y, x)[c]) / count;
                      for (int64_t sy = v.first; sy < v.last; ++sy) {
                        for (int64_t sx = h.first; sx < h.last; ++sx)
                          put(diff_src.at<T>(n, sy, sx)[c], share, Mode::add);
                      }
                    }
                  });
}

// The kernel `vector` for f32: one of the entries, with the windows of the specification.
Kernel vector_kernel(const Windows& windows, const Problem& problem,
                     void (*PoolingEntries::*forward)(const Windows&, const Arguments&),
                     void (*PoolingEntries::*backward)(const Windows&, const Arguments&)) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) kernel.declined = "it is for f32";
  const auto run = pooling_entries(problem.isa).*(problem.pass == Pass::forward ? forward : backward);
  kernel.run = [windows, run](const Arguments& a) { run(windows, a); };
  return kernel;
}

}  // namespace

Size pool_size(Size kernel, Size stride, Size pad, bool ceil, Size src) {
  const auto extent = [ceil](int64_t k, int64_t s, int64_t p, int64_t from) {
    const int64_t room = from + 2 * p - k;
    if (room < 0 && !(ceil && from + p > 0 && room > -s)) return int64_t{0};
    int64_t size = (ceil ? ceil_div(std::max<int64_t>(room, 0), s) : room / s) + 1;
    if (ceil && (size - 1) * s >= from + p) --size;  // the last window would start in the padding
    return size;
  };
  return {extent(kernel.h, stride.h, pad.h, src.h), extent(kernel.w, stride.w, pad.w, src.w)};
}

Candidates max_pool2d_kernels(const MaxPool2dSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel({spec.kernel, spec.stride, spec.pad}, problem, &PoolingEntries::max_pool,
                        &PoolingEntries::max_pool_backward),
          definition_for<double, float, bf16>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
            forward ? max_pool<T>(spec, a) : max_pool_backward<T>(spec, a);
          })};
}

Candidates max_unpool2d_kernels(const MaxUnpool2dSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel({spec.kernel, spec.stride, spec.pad}, problem, &PoolingEntries::max_unpool,
                        &PoolingEntries::max_unpool_backward),
          definition_for<double, float>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
            forward ? max_unpool<T>(spec, a) : max_unpool_backward<T>(spec, a);
          })};
}

Candidates avg_pool2d_kernels(const AvgPool2dSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel({spec.kernel, spec.stride, spec.pad, spec.count_include_pad}, problem,
                        &PoolingEntries::avg_pool, &PoolingEntries::avg_pool_backward),
          definition_for<double, float>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
            forward ? avg_pool<T>(spec, a) : avg_pool_backward<T>(spec, a);
          })};
}

// Average pooling with one window: the whole map.
Candidates global_avg_pool_kernels(const GlobalAvgPoolSpec&, const Problem& problem) {
  const Size map = (problem.pass == Pass::forward ? problem.src : problem.dst)[0].shape.size();
  return avg_pool2d_kernels({map, map, {0, 0}, false, true}, problem);
}

}  // namespace pixelwise
