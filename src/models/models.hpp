// The functions behind the registry, one a family.
#pragma once
#include <cstdint>
#include <vector>

#include "pixelwise/models/registry.hpp"

namespace pixelwise {

/// A count of channels times the model's width, at least 1.
int64_t scaled(int64_t channels, double width);

/// VGG16's convolutions (Simonyan, Zisserman 2015, table 1, D), with torchvision's names under "backbone.".
struct VggMaps {
  ValueId pool3 = no_value, pool4 = no_value, pool5 = no_value;
};
VggMaps vgg16(Builder& builder, ValueId image, double width, bool batch_norm, int64_t first_pad);

// FCN: the stride of the last map before the upsampling to pixels, with and without batch norm.
template <int Stride, bool BatchNorm>
ModelOutputs fcn_vgg16(Builder& builder, const ModelSpec& spec, ValueId image);

ModelOutputs tiny_fcn(Builder& builder, const ModelSpec& spec, ValueId image);
ModelOutputs pointwise_network(Builder& builder, const ModelSpec& spec, ValueId image);

}  // namespace pixelwise
