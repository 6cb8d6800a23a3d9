// The convolutions of the compared models.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/nn/operator_cases.hpp"

/// A convolution or transposed convolution on one map. Its name says all that differs, without spaces:
/// "64->128,3x3,stride2,rate2,90x120" (the size of what it reads), with "depthwise" or "transposed" after it.
struct Layer {
  pixelwise::OperatorCase one;
  bool reads_photo = false;  ///< then nobody asks for the gradient of what it reads
};

/// The models of tools/compare.
std::vector<std::string> compared_models();
/// The distinct convolutions of a model for photos of the size that tools/compare takes, in the order of the graph.
std::vector<Layer> layers_of(const std::string& model, int64_t batch);
