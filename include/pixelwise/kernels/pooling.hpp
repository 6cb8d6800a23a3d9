// Pooling, unpooling and their gradients.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward: src = {x}, dst = {y, indices (u8)}; backward: src = {diff_y, indices}, dst = {diff_x}.
Candidates max_pool2d_kernels(const MaxPool2dSpec& spec, const Problem& problem);
/// forward: src = {x, indices}, dst = {y}; backward: src = {diff_y, indices}, dst = {diff_x}.
Candidates max_unpool2d_kernels(const MaxUnpool2dSpec& spec, const Problem& problem);
/// forward: src = {x}, dst = {y}; backward: src = {diff_y}, dst = {diff_x}.
Candidates avg_pool2d_kernels(const AvgPool2dSpec& spec, const Problem& problem);
Candidates global_avg_pool_kernels(const GlobalAvgPoolSpec& spec, const Problem& problem);

/// The extent of a pooled map. With `ceil`, a last window that would start in the padding below or right is dropped.
Size pool_size(Size kernel, Size stride, Size pad, bool ceil, Size src);

}  // namespace pixelwise
