// Pooling, unpooling and their gradients, vectorised over the channels. Every pixel of the destination gathers what
// concerns it, so that rows are independent of each other. As the definitions in kernels/pooling.cpp.
#include "kernels/vector/pooling.hpp"

#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

struct Span {
  int64_t first, last;  ///< [first, last)
  int64_t count() const { return last - first; }
};

// One axis of the windows over a map of `fine` pixels that is pooled to `coarse`.
struct WindowAxis {
  int64_t kernel, stride, pad, fine, coarse;

  /// The fine pixels of window i.
  [[gnu::always_inline]] Span covered_by(int64_t i) const {
    const int64_t start = i * stride - pad, end = start + kernel;
    return {start > 0 ? start : 0, end < fine ? end : fine};
  }
  /// The windows that cover fine pixel i.
  [[gnu::always_inline]] Span covering(int64_t i) const {
    const auto at = static_cast<uint32_t>(i + pad), k = static_cast<uint32_t>(kernel),
               s = static_cast<uint32_t>(stride);
    const int64_t first = at >= k ? (at - k) / s + 1 : 0, end = at / s + 1;
    return {first, end < coarse ? end : coarse};
  }
  /// The index of fine pixel `at` in window i.
  [[gnu::always_inline]] int64_t tap(int64_t i, int64_t at) const { return at + pad - i * stride; }
  /// Pixels of window i with padding, but not beyond it, as PyTorch counts.
  [[gnu::always_inline]] int64_t padded(int64_t i) const {
    const int64_t start = i * stride - pad, end = start + kernel;
    return (end < fine + pad ? end : fine + pad) - start;
  }
};
WindowAxis vertical(const Windows& w, const View& fine, const View& coarse) {
  return {w.kernel.h, w.stride.h, w.pad.h, fine.shape.h, coarse.shape.h};
}
WindowAxis horizontal(const Windows& w, const View& fine, const View& coarse) {
  return {w.kernel.w, w.stride.w, w.pad.w, fine.shape.w, coarse.shape.w};
}

// fn(n, y, x, rows, columns, c, left) for every vector of channels of every pixel of a map. rows and columns are the
// pixels of the other map that concern it: SpanOf is WindowAxis::covered_by for a coarse map, ::covering for a fine
// one.
template <auto SpanOf, class Fn>
[[gnu::always_inline]] inline void for_vectors(const View& map, const WindowAxis& v, const WindowAxis& h,
                                               const Fn& fn) {
  for_rows(map.shape, [&](int64_t n, int64_t y, int64_t, int) {
    const Span rows = (v.*SpanOf)(y);
    for (int64_t x = 0; x < map.shape.w; ++x) {
      const Span columns = (h.*SpanOf)(x);
      for (int64_t c = 0; c < map.shape.c; c += lanes) fn(n, y, x, rows, columns, c, map.shape.c - c);
    }
  });
}
// fn(i, j) for every pixel of rows x columns, in order.
template <class Fn>
[[gnu::always_inline]] inline void for_pixels(const Span& rows, const Span& columns, const Fn& fn) {
  for (int64_t i = rows.first; i < rows.last; ++i) {
    for (int64_t j = columns.first; j < columns.last; ++j) fn(i, j);
  }
}

// The index that fine pixel (y, x) has in the window of coarse pixel (i, j), in every lane.
[[gnu::always_inline]] inline vint index_of(const WindowAxis& v, const WindowAxis& h, int64_t i, int64_t j, int64_t y,
                                            int64_t x) {
  return static_cast<int32_t>(v.tap(i, y) * h.kernel + h.tap(j, x)) - vint{};
}

void max_pool(const Windows& windows, const Arguments& a) {
  const View src = a.src[0].view, dst = a.dst[0].view, indices = a.dst[1].view;
  const WindowAxis v = vertical(windows, src, dst), h = horizontal(windows, src, dst);
  for_vectors<&WindowAxis::covered_by>(
      dst, v, h, [&](int64_t n, int64_t y, int64_t x, const Span& rows, const Span& columns, int64_t c, int64_t left) {
        vfloat best = load_some(src.at<float>(n, rows.first, columns.first) + c, left);
        vint index = index_of(v, h, y, x, rows.first, columns.first);
        for_pixels(rows, columns, [&](int64_t i, int64_t j) {
          const vfloat value = load_some(src.at<float>(n, i, j) + c, left);
          const auto wins = (value > best) | (value != value);
          best = wins ? value : best;
          index = wins ? index_of(v, h, y, x, i, j) : index;
        });
        store_some(dst.at<float>(n, y, x) + c, best, left);
        store_bytes(indices.at<uint8_t>(n, y, x) + c, index, left);
      });
}

// diff_src = sum of diff_dst over the windows whose largest pixel it was.
void max_pool_backward(const Windows& windows, const Arguments& a) {
  const View diff_dst = a.src[0].view, indices = a.src[1].view;
  const Destination diff_src = a.dst[0];
  const WindowAxis v = vertical(windows, diff_src.view, diff_dst), h = horizontal(windows, diff_src.view, diff_dst);
  for_vectors<&WindowAxis::covering>(
      diff_src.view, v, h,
      [&](int64_t n, int64_t y, int64_t x, const Span& rows, const Span& columns, int64_t c, int64_t left) {
        vfloat sum = zero();
        for_pixels(rows, columns, [&](int64_t i, int64_t j) {
          const auto chosen = load_bytes(indices.at<uint8_t>(n, i, j) + c, left) == index_of(v, h, i, j, y, x);
          sum += chosen ? load_some(diff_dst.at<float>(n, i, j) + c, left) : zero();
        });
        put_some(diff_src.view.at<float>(n, y, x) + c, sum, left, diff_src.mode);
      });
}

void max_unpool(const Windows& windows, const Arguments& a) {
  const View src = a.src[0].view, indices = a.src[1].view, dst = a.dst[0].view;
  const WindowAxis v = vertical(windows, dst, src), h = horizontal(windows, dst, src);
  for_vectors<&WindowAxis::covering>(
      dst, v, h, [&](int64_t n, int64_t y, int64_t x, const Span& rows, const Span& columns, int64_t c, int64_t left) {
        vfloat value = zero();
        for_pixels(rows, columns, [&](int64_t i, int64_t j) {
          const auto chosen = load_bytes(indices.at<uint8_t>(n, i, j) + c, left) == index_of(v, h, i, j, y, x);
          value = chosen ? load_some(src.at<float>(n, i, j) + c, left) : value;
        });
        store_some(dst.at<float>(n, y, x) + c, value, left);
      });
}

void max_unpool_backward(const Windows& windows, const Arguments& a) {
  const View diff_dst = a.src[0].view, indices = a.src[1].view;
  const Destination diff_src = a.dst[0];
  const WindowAxis v = vertical(windows, diff_dst, diff_src.view), h = horizontal(windows, diff_dst, diff_src.view);
  for_vectors<&WindowAxis::covered_by>(
      diff_src.view, v, h,
      [&](int64_t n, int64_t y, int64_t x, const Span& rows, const Span& columns, int64_t c, int64_t left) {
        const vint index = load_bytes(indices.at<uint8_t>(n, y, x) + c, left);
        vfloat value = zero();
        for_pixels(rows, columns, [&](int64_t i, int64_t j) {
          const auto chosen = index == index_of(v, h, y, x, i, j);
          value = chosen ? load_some(diff_dst.at<float>(n, i, j) + c, left) : value;
        });
        put_some(diff_src.view.at<float>(n, y, x) + c, value, left, diff_src.mode);
      });
}

[[gnu::always_inline]] inline float share(const Windows& windows, const WindowAxis& v, const WindowAxis& h, int64_t y,
                                          int64_t x) {
  const int64_t count =
      windows.count_include_pad ? v.padded(y) * h.padded(x) : v.covered_by(y).count() * h.covered_by(x).count();
  return static_cast<float>(1 / static_cast<double>(count));
}

// Chunks are blocks of channels of a row of the result: global pooling has few rows.
void avg_pool(const Windows& windows, const Arguments& a) {
  const View src = a.src[0].view, dst = a.dst[0].view;
  const WindowAxis v = vertical(windows, src, dst), h = horizontal(windows, src, dst);
  constexpr int64_t block = 256;
  const int64_t blocks = (dst.shape.c + block - 1) / block;
  parallel_for(dst.shape.n * dst.shape.h * blocks, [&](int64_t chunk, int) {
    const int64_t row = chunk / blocks, n = row / dst.shape.h, y = row % dst.shape.h, first = chunk % blocks * block;
    const int64_t last = first + block < dst.shape.c ? first + block : dst.shape.c;
    const Span rows = v.covered_by(y);
    for (int64_t x = 0; x < dst.shape.w; ++x) {
      const Span columns = h.covered_by(x);
      const vfloat factor = broadcast(share(windows, v, h, y, x));
      for (int64_t c = first; c < last; c += lanes) {
        vfloat sum = zero();
        for (int64_t i = rows.first; i < rows.last; ++i) {
          vfloat of_row = zero();
          for (int64_t j = columns.first; j < columns.last; ++j)
            of_row += load_some(src.at<float>(n, i, j) + c, last - c);
          sum += of_row;
        }
        store_some(dst.at<float>(n, y, x) + c, sum * factor, last - c);
      }
    }
  });
}

void avg_pool_backward(const Windows& windows, const Arguments& a) {
  const View diff_dst = a.src[0].view;
  const Destination diff_src = a.dst[0];
  const WindowAxis v = vertical(windows, diff_src.view, diff_dst), h = horizontal(windows, diff_src.view, diff_dst);
  for_vectors<&WindowAxis::covering>(
      diff_src.view, v, h,
      [&](int64_t n, int64_t y, int64_t x, const Span& rows, const Span& columns, int64_t c, int64_t left) {
        vfloat sum = zero();
        for_pixels(rows, columns, [&](int64_t i, int64_t j) {
          sum = fma(load_some(diff_dst.at<float>(n, i, j) + c, left), broadcast(share(windows, v, h, i, j)), sum);
        });
        put_some(diff_src.view.at<float>(n, y, x) + c, sum, left, diff_src.mode);
      });
}

}  // namespace

const PoolingEntries pooling{max_pool, max_pool_backward, max_unpool, max_unpool_backward, avg_pool, avg_pool_backward};

}  // namespace pixelwise::PIXELWISE_ISA
