// Depthwise convolution (Howard et al. 2017, "MobileNets"): every channel has a kernel of its own, so that a vector of
// channels is the unit, and the sums of the definition are taken as they stand.
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_plan.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// The source pixel that destination pixel q reads through tap k along one axis; -1: none.
int64_t source_of(bool from_fine, int64_t q, int64_t k, int64_t stride, int64_t pad, int64_t dilation, int64_t extent) {
  int64_t at = from_fine ? q * stride - pad + k * dilation : q + pad - k * dilation;
  if (!from_fine) {
    if (at < 0 || at % stride) return -1;
    at /= stride;
  }
  return at < extent ? at : -1;
}

// One vector of channels of one destination pixel.
vfloat pixel_sum(const Depthwise& d, const Source& src, const View& w, vfloat sum, int64_t n, int64_t y, int64_t x,
                 int64_t c, int64_t left) {
  for (int64_t ky = 0; ky < d.kernel.h; ++ky) {
    const int64_t sy = source_of(d.from_fine, y, ky, d.stride.h, d.pad.h, d.dilation.h, src.view.shape.h);
    if (sy < 0) continue;
    for (int64_t kx = 0; kx < d.kernel.w; ++kx) {
      const int64_t sx = source_of(d.from_fine, x, kx, d.stride.w, d.pad.w, d.dilation.w, src.view.shape.w);
      if (sx < 0) continue;
      const vfloat value = load_source(src, src.view.at<float>(n, sy, sx), c, left);
      sum = fma(value, load_some(w.at<float>(0, ky, kx) + c, left), sum);
    }
  }
  return sum;
}

}  // namespace

void depthwise(const Depthwise& d, const Arguments& a) {
  const View& dst = a.dst[0].view;
  const Epilogue& e = a.epilogue;
  const float* bias = a.parameters.size() > 1 && a.parameters[1] ? a.parameters[1].as<float>() : nullptr;
  parallel_for(dst.shape.n * dst.shape.h, [&](int64_t chunk, int) {
    const int64_t n = chunk / dst.shape.h, y = chunk % dst.shape.h;
    for (int64_t x = 0; x < dst.shape.w; ++x) {
      for (int64_t c = 0; c < dst.shape.c; c += lanes) {
        const int64_t left = dst.shape.c - c;
        const vfloat sum =
            pixel_sum(d, a.src[0], a.parameters[0], bias ? load_some(bias + c, left) : zero(), n, y, x, c, left);
        leave_vector(sum, e, e.residual ? e.residual.at<float>(n, y, x) + c : nullptr,
                     e.gate ? e.gate.at<float>(n, y, x) + c : nullptr, a.dst[0].mode == Mode::add,
                     dst.at<float>(n, y, x) + c, left);
      }
    }
  });
}

// diff_w(k, c) = sum over coarse pixels of fine * coarse: floats along a row, doubles over rows; a chunk owns one tap
// of one vector of channels.
void depthwise_weights(const Depthwise& d, const Arguments& a) {
  const Source &fine = a.src[static_cast<size_t>(d.fine_operand)],
               &coarse = a.src[static_cast<size_t>(1 - d.fine_operand)];
  const Shape map = coarse.view.shape;
  const int64_t vectors = (map.c + lanes - 1) / lanes;
  parallel_for(d.kernel.h * d.kernel.w * vectors, [&](int64_t chunk, int) {
    const int64_t ky = chunk / vectors / d.kernel.w, kx = chunk / vectors % d.kernel.w, c = chunk % vectors * lanes;
    const int64_t left = map.c - c;
    double sum[lanes] = {};
    for (int64_t row = 0; row < map.n * map.h; ++row) {
      const int64_t n = row / map.h, y = row % map.h;
      const int64_t sy = source_of(true, y, ky, d.stride.h, d.pad.h, d.dilation.h, fine.view.shape.h);
      if (sy < 0) continue;
      vfloat products = zero();
      for (int64_t x = 0; x < map.w; ++x) {
        const int64_t sx = source_of(true, x, kx, d.stride.w, d.pad.w, d.dilation.w, fine.view.shape.w);
        if (sx < 0) continue;
        products = fma(load_source(fine, fine.view.at<float>(n, sy, sx), c, left),
                       load_source(coarse, coarse.view.at<float>(n, y, x), c, left), products);
      }
      for (int i = 0; i < lanes; ++i) sum[i] += static_cast<double>(products[i]);
    }
    float* to = a.dst[0].view.at<float>(0, ky, kx) + c;
    for (int64_t i = 0; i < least(left, lanes); ++i)
      to[i] = static_cast<float>(a.dst[0].mode == Mode::add ? static_cast<double>(to[i]) + sum[i] : sum[i]);
  });
  if (a.dst.size() > 1) bias_gradient(a.src[1].view, a.dst[1]);
}

}  // namespace pixelwise::PIXELWISE_ISA
