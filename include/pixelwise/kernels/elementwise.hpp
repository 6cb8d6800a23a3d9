// Operators that move or change elements one by one: activation, dropout, add, concat, crop, pad, cast.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward: src = {x}, dst = {y}; backward: src = {diff_y, y}, dst = {diff_x} (y is the activation's output).
Candidates activation_kernels(const ActivationSpec& spec, const Problem& problem);
/// forward: src = {x}, dst = {y}; backward: src = {diff_y}, dst = {diff_x}, with the same mask.
Candidates dropout_kernels(const DropoutSpec& spec, const Problem& problem);
/// forward: src = {x0, x1, ...}, dst = {y}, epilogue.act applied; backward: src = {diff_y}, dst = {diff_x0, ...}.
Candidates add_kernels(const AddSpec& spec, const Problem& problem);
/// forward: src = {x0, x1, ...}, dst = {y}; backward: src = {diff_y}, dst = {diff_x0, diff_x1, ...}.
Candidates concat_kernels(const ConcatSpec& spec, const Problem& problem);
/// forward: src = {x}, dst = {y}; backward: src = {diff_y}, dst = {diff_x} (0 outside the window).
Candidates crop_kernels(const CropSpec& spec, const Problem& problem);
Candidates pad_kernels(const PadSpec& spec, const Problem& problem);
/// forward: src = {x}, dst = {y}; backward: src = {diff_y}, dst = {diff_x}: a cast back.
Candidates cast_kernels(const CastSpec& spec, const Problem& problem);
/// forward: src = scalars, dst = {scalar}; backward: src = {diff_y}, dst = {diff_x0, ...}.
Candidates weighted_sum_kernels(const WeightedSumSpec& spec, const Problem& problem);

}  // namespace pixelwise
