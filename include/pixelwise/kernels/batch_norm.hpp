// Batch normalisation (Ioffe, Szegedy 2015), with an optional activation on the way out.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward:  src = {x}, parameters = {weight, bias, running_mean, running_var}; training: dst = {y, mean,
///           inverse_deviation, scale, shift} (the last four {1, 1, 1, C}), running statistics are updated; y =
///           act(scale x + shift + residual), residual and act from the epilogue. Where dst[0] is a null View, y is
///           left to its readers. A second src holds the moments of x, where the convolution before has taken them
///           (Problem::moments). inference: dst = {y}, from the running statistics. (Where there was a residual, the
///           gradient behind it and its activation is the diff_y of backward.)
/// backward: src = {x, diff_y, mean, inverse_deviation, scale, shift}, dst = {diff_x, diff_weight,
///           diff_bias}. epilogue.gate_act names the activation that forward applied: diff_y counts only
///           where it let y through, which x tells again, so that y need not be kept. diff_x is the full gradient,
///           through the statistics.
/// In Phase::inference backward: src = {x, diff_y}, parameters = {weight, bias, running_mean, running_var}, the
///           statistics are constants.
Candidates batch_norm_kernels(const BatchNormSpec& spec, const Problem& problem);

}  // namespace pixelwise
