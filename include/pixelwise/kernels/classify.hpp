// From scores to classes and to the loss: softmax, argmax, one-hot targets, pixel-wise cross-entropy.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward: src = {x}, dst = {y}; backward: src = {diff_y, y}, dst = {diff_x}.
Candidates softmax_kernels(const SoftmaxSpec& spec, const Problem& problem);
/// src = {x}, dst = {ids}.
Candidates argmax_kernels(const ArgmaxSpec& spec, const Problem& problem);
/// src = {ids}, dst = {planes}.
Candidates one_hot_kernels(const OneHotSpec& spec, const Problem& problem);
/// forward:  src = {scores, targets, denominator?}, parameters = {class weights?}, dst = {loss, denominator used}
///           (both {1, 1, 1, 1}); scores that the loss resizes are the small map.
/// backward: src = {scores, targets, denominator used, diff_loss}, parameters = {class weights?},
///           dst = {diff_scores}.
Candidates softmax_cross_entropy_kernels(const SoftmaxCrossEntropySpec& spec, const Problem& problem);

}  // namespace pixelwise
