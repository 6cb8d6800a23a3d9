// The rules of every operator; nn/operator.cpp makes the table of them.
#pragma once
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {

extern const Operator conv2d_operator, conv_transpose2d_operator, max_pool2d_operator, max_unpool2d_operator,
    avg_pool2d_operator, global_avg_pool_operator, batch_norm_operator, activation_operator, dropout_operator,
    add_operator, concat_operator, crop_operator, pad_operator, cast_operator, resize_operator, softmax_operator,
    argmax_operator, one_hot_operator, softmax_cross_entropy_operator, weighted_sum_operator;

}  // namespace pixelwise
