// What convolution and transposed convolution have in common: a fine map and a coarse one, and weights between them.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// Pixel q of the coarse map meets pixels q stride - pad + k dilation of the fine map; weights {coarse, kh, kw, fine /
/// groups}. A convolution reads the fine map and writes the coarse one; a transposed convolution the reverse.
struct Convolution {
  Size kernel, stride, pad, dilation;
  int64_t groups = 1;
  int64_t fine_channels = 0, coarse_channels = 0;
  bool transposed = false;
  bool depthwise() const { return groups > 1 && groups == fine_channels && groups == coarse_channels; }
};

/// Everything but the definition, in order of preference (conv2d_fast.cpp).
Candidates fast_convolution_kernels(const Convolution& conv, const Problem& problem);

}  // namespace pixelwise
