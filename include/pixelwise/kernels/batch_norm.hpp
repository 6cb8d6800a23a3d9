// Batch normalisation (Ioffe, Szegedy 2015), with an optional activation on the way out.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward:  src = {x}, parameters = {weight, bias, running_mean, running_var}; training: dst = {y, mean,
///           inverse_deviation} ({1, 1, 1, C} each, saved for backward), running statistics are updated;
///           inference: dst = {y}, from the running statistics. epilogue.act is applied to y.
/// backward: src = {x, diff_y, mean, inverse_deviation, y?}, parameters = {weight}, dst = {diff_x, diff_weight,
///           diff_bias}. Where forward applied an activation, y is given, epilogue.gate_act names it, and diff_y
///           counts only where the activation let it through. diff_x is the full gradient, through the statistics.
/// In Phase::inference backward: src = {x, diff_y, y?}, parameters = {weight, bias, running_mean, running_var}, the
///           statistics are constants.
Candidates batch_norm_kernels(const BatchNormSpec& spec, const Problem& problem);

}  // namespace pixelwise
