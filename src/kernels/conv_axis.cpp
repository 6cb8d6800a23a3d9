#include "kernels/conv_axis.hpp"

#include <algorithm>
#include <numeric>

namespace pixelwise {

Axis forward_axis(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, int64_t count) {
  Axis axis;
  axis.stride = stride;
  axis.phases = 1;
  axis.phase[0] = {0, count, kernel, 0, 1, -pad, dilation};
  axis.low = -pad;
  axis.high = (kernel - 1) * dilation - pad;
  axis.count = count;
  return axis;
}

// Fine pixel offset + q stride meets kernel index k where offset + pad - k dilation is a multiple of the stride; the
// taps are taken in falling order, so that the coarse pixels rise.
Axis backward_axis(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, int64_t fine) {
  Axis axis;
  axis.step = stride;
  axis.phases = std::min(stride, fine);
  axis.low = kernel * dilation + pad;
  axis.high = -axis.low;
  const int64_t period = stride / std::gcd(stride, dilation);
  for (int64_t p = 0; p < axis.phases; ++p) {
    AxisPhase phase{p, (fine - p - 1) / stride + 1, 0, 0, -period, 0, period * dilation / stride};
    for (int64_t k = kernel - 1; k >= 0; --k) {
      if ((p + pad - k * dilation) % stride) continue;
      if (phase.taps++ > 0) continue;
      phase.first_tap = k;
      phase.first_shift = (p + pad - k * dilation) / stride;
    }
    if (phase.taps > 0) {
      axis.low = std::min(axis.low, phase.first_shift);
      axis.high = std::max(axis.high, phase.first_shift + (phase.taps - 1) * phase.shift_step);
    }
    axis.count = std::max(axis.count, phase.count);
    axis.phase[p] = phase;
  }
  if (axis.low > axis.high) axis.low = axis.high = 0;
  return axis;
}

}  // namespace pixelwise
