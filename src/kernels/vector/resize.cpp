// Resizing and its gradient, vectorised over the channels. As the definitions in kernels/resize.cpp.
#include "kernels/vector/resize.hpp"

#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

void forward(const ResizeJob& job, const Arguments& a) {
  const View src = a.src[0].view;
  const Destination dst = a.dst[0];
  for_rows(dst.view.shape, [&](int64_t n, int64_t y, int64_t, int) {
    const Blend v = job.rows[y];
    const vfloat down = broadcast(static_cast<float>(v.share)), up = broadcast(static_cast<float>(1 - v.share));
    for (int64_t x = 0; x < dst.view.shape.w; ++x) {
      const Blend h = job.columns[x];
      const vfloat right = broadcast(static_cast<float>(h.share)), left = broadcast(static_cast<float>(1 - h.share));
      const float *top_left = src.at<float>(n, v.low, h.low), *top_right = src.at<float>(n, v.low, h.high),
                  *bottom_left = src.at<float>(n, v.high, h.low), *bottom_right = src.at<float>(n, v.high, h.high);
      float* out = dst.view.at<float>(n, y, x);
      for (int64_t c = 0; c < src.shape.c; c += lanes) {
        const int64_t rest = src.shape.c - c;
        const vfloat top = left * load_some(top_left + c, rest) + right * load_some(top_right + c, rest);
        const vfloat bottom = left * load_some(bottom_left + c, rest) + right * load_some(bottom_right + c, rest);
        put_some(out + c, up * top + down * bottom, rest, dst.mode);
      }
    }
  });
}

// A row of the source gathers from the rows of the result that read it.
void backward(const ResizeJob& job, const Arguments& a) {
  const View diff_dst = a.src[0].view;
  const Destination diff_src = a.dst[0];
  const Shape shape = diff_src.view.shape;
  for_rows(shape, [&](int64_t n, int64_t y, int64_t, int) {
    if (diff_src.mode == Mode::write) {
      for (int64_t x = 0; x < shape.w; ++x) {
        for (int64_t c = 0; c < shape.c; c += lanes)
          store_some(diff_src.view.at<float>(n, y, x) + c, zero(), shape.c - c);
      }
    }
    for (int64_t i = job.row_readers[y].first; i < job.row_readers[y].last; ++i) {
      const Blend v = job.rows[i];
      const double factor = (v.low == y ? 1 - v.share : 0) + (v.high == y ? v.share : 0);
      for (int64_t x = 0; x < diff_dst.shape.w; ++x) {
        const Blend h = job.columns[x];
        const vfloat left = broadcast(static_cast<float>(factor * (1 - h.share))),
                     right = broadcast(static_cast<float>(factor * h.share));
        const float* g = diff_dst.at<float>(n, i, x);
        float *low = diff_src.view.at<float>(n, y, h.low), *high = diff_src.view.at<float>(n, y, h.high);
        for (int64_t c = 0; c < shape.c; c += lanes) {
          const int64_t rest = shape.c - c;
          const vfloat diff = load_some(g + c, rest);
          store_some(low + c, fma(left, diff, load_some(low + c, rest)), rest);
          store_some(high + c, fma(right, diff, load_some(high + c, rest)), rest);
        }
      }
    }
  });
}

}  // namespace

const ResizeEntries resize{forward, backward};

}  // namespace pixelwise::PIXELWISE_ISA
