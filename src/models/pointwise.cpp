// Two small networks for lessons and tests.
#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {

// The smallest FCN: two convolutions at strides 1 and 2, scores, and upsampling.
ModelOutputs tiny_fcn(Builder& builder, const ModelSpec& spec, ValueId image) {
  Conv2dSpec conv{scaled(16, spec.options.width), {3, 3}};
  conv.pad = {1, 1};
  ValueId x = builder.relu(builder.conv2d(image, "backbone.conv1", conv), "backbone.relu1");
  x = builder.max_pool2d(x, "backbone.pool1", {{2, 2}, {2, 2}, {0, 0}, true}).map;
  conv.out_channels *= 2;
  x = builder.relu(builder.conv2d(x, "backbone.conv2", conv), "backbone.relu2");
  x = builder.conv2d(x, "classifier.score", {spec.classes, {1, 1}});
  ConvTranspose2dSpec up{spec.classes, {4, 4}, {2, 2}, {1, 1}};
  up.bias = false;
  x = builder.conv_transpose2d(x, "classifier.upscore", up);
  if (builder.at(x).shape.size() != builder.at(image).shape.size()) x = builder.crop_like(x, image, "scores.crop");
  return {x, no_value};
}

// Only 1x1 convolutions: each pixel is classified by its own colour. It shows what context is worth, because it has
// none.
ModelOutputs pointwise_network(Builder& builder, const ModelSpec& spec, ValueId image) {
  ValueId x = image;
  for (int i = 1; i <= 3; ++i) {
    x = builder.conv2d(x, format("backbone.conv{}", i), {scaled(64, spec.options.width), {1, 1}});
    x = builder.relu(builder.batch_norm(x, format("backbone.norm{}", i)), format("backbone.relu{}", i));
  }
  return {builder.conv2d(x, "classifier.score", {spec.classes, {1, 1}}), no_value};
}

}  // namespace pixelwise
