// The tables, one file a family of operators.
#pragma once
#include "pixelwise/nn/operator_cases.hpp"

namespace pixelwise {

using OperatorCases = std::vector<OperatorCase>;

OperatorCases conv2d_cases();
OperatorCases conv_transpose2d_cases();
OperatorCases max_pool2d_cases();
OperatorCases max_unpool2d_cases();
OperatorCases avg_pool2d_cases();
OperatorCases global_avg_pool_cases();
OperatorCases batch_norm_cases();
OperatorCases activation_cases();
OperatorCases dropout_cases();
OperatorCases add_cases();
OperatorCases concat_cases();
OperatorCases crop_cases();
OperatorCases pad_cases();
OperatorCases cast_cases();
OperatorCases resize_cases();
OperatorCases softmax_cases();
OperatorCases argmax_cases();
OperatorCases one_hot_cases();
OperatorCases softmax_cross_entropy_cases();
OperatorCases weighted_sum_cases();

/// A map of floats.
inline TensorDesc map(int64_t n, int64_t h, int64_t w, int64_t c) { return {Type::f32, {n, h, w, c}}; }
/// Class ids or pooling indices.
inline TensorDesc bytes(int64_t n, int64_t h, int64_t w, int64_t c = 1) { return {Type::u8, {n, h, w, c}}; }

}  // namespace pixelwise
