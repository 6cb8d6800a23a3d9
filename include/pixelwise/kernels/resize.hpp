// Nearest and bilinear resizing, as torch.nn.functional.interpolate.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward: src = {x}, dst = {y}; backward: src = {diff_y}, dst = {diff_x}.
Candidates resize_kernels(const ResizeSpec& spec, const Problem& problem);

}  // namespace pixelwise
