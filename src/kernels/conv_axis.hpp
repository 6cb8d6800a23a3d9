// The taps of a convolution along one axis.
#pragma once
#include "kernels/vector/conv_plan.hpp"

namespace pixelwise {

/// From `count` coarse pixels to the fine pixels that they meet.
Axis forward_axis(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, int64_t count);
/// From `fine` fine pixels to the coarse pixels that they meet: the taps of the gradient.
Axis backward_axis(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, int64_t fine);

}  // namespace pixelwise
