// Where a pixel of a resized map comes from: shared by resizing and by the loss of resized scores.
#pragma once
#include <vector>

#include "kernels/vector/resize.hpp"

namespace pixelwise {

/// Pixel i of an axis that is resized from `from` pixels to `to`.
Blend blend_of(const ResizeSpec& spec, int64_t i, int64_t from, int64_t to);
/// All pixels of the resized axis.
std::vector<Blend> blends_of(const ResizeSpec& spec, int64_t from, int64_t to);

}  // namespace pixelwise
