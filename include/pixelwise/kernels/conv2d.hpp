// Convolution in all three passes, plain, strided, atrous, grouped and depthwise.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// forward:          src = {x}, parameters = {weights, bias?}, dst = {y}; epilogue as given.
/// backward_data:    src = {diff_y}, parameters = {weights}, dst = {diff_x}; epilogue (gate) as given.
/// backward_weights: src = {x, diff_y}, dst = {diff_weights, diff_bias?}.
/// A forward Problem may have a second dst, the map that y is max pooled to, by 2x2 with stride 2 (without padding; at
/// an odd edge a window has one row or column, or there is none): Arguments::dst[0] is then that map, and y is not
/// written. Where Problem::moments is set, the mean and the variance of y go to Arguments::dst[1]. Weights are {O, kh,
/// kw, I / groups}, or {1, kh, kw, O} where groups == I == O (depthwise).
Candidates conv2d_kernels(const Conv2dSpec& spec, const Problem& problem);
/// The same in the order that rules of shapes give; conv2d_kernels then lets the table of measured kernels
/// (conv2d_table.hpp) put another one first.
Candidates conv2d_kernels_by_rule(const Conv2dSpec& spec, const Problem& problem);

/// As conv2d_kernels with the roles of x and y swapped; weights {I, kh, kw, O / groups}.
Candidates conv_transpose2d_kernels(const ConvTranspose2dSpec& spec, const Problem& problem);

/// The extent of y for an x of `src` pixels; may be <= 0 where the kernel does not fit.
Size conv2d_size(const Conv2dSpec& spec, Size src);
Size conv_transpose2d_size(const ConvTranspose2dSpec& spec, Size src);
Shape conv2d_weights_shape(const Conv2dSpec& spec, int64_t in_channels);
Shape conv_transpose2d_weights_shape(const ConvTranspose2dSpec& spec, int64_t in_channels);
/// Weights that upsample bilinearly (Long, Shelhamer, Darrell 2015, section 3.3): plane o of the result reads plane o
/// of the source. weights: {C, k, k, 1 or C}, f32 or f64.
void fill_bilinear(const View& weights);

}  // namespace pixelwise
