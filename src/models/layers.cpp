// Pieces that several models are made of.
#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "models/models.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

int64_t scaled(int64_t channels, double width) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(channels) * width));
}

ValueId conv_norm(Builder& builder, const ModelOptions& options, ValueId x, const std::string& conv,
                  const std::string& norm, const ConvNorm& spec) {
  const int64_t pad = spec.dilation * (spec.kernel - 1) / 2;
  x = builder.conv2d(x, conv,
                     {spec.channels,
                      {spec.kernel, spec.kernel},
                      {spec.stride, spec.stride},
                      {pad, pad},
                      {spec.dilation, spec.dilation},
                      spec.groups,
                      !options.batch_norm});
  if (options.batch_norm) x = builder.batch_norm(x, norm, spec.eps);
  if (spec.act == Activation::none) return x;
  return builder.node(norm + ".act", ActivationSpec{spec.act}, {x})[0];
}

PooledMap pool(Builder& builder, ValueId x, const std::string& name) {
  return {builder.max_pool2d(x, name, {{2, 2}, {2, 2}, {0, 0}, true}), builder.at(x).shape.size()};
}

Atrous::Atrous(int64_t output_stride) : output_stride_(output_stride) {
  if (output_stride != 8 && output_stride != 16 && output_stride != 32)
    throw UsageError(format("model.options.output_stride is {}; wanted 8, 16 or 32", output_stride));
}

Atrous::Layer Atrous::layer(int64_t stride) {
  const int64_t dilation = dilation_;
  if (stride_ * stride > output_stride_) {
    dilation_ *= stride;
    return {1, dilation};
  }
  stride_ *= stride;
  return {stride, dilation};
}

}  // namespace pixelwise
