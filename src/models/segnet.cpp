// SegNet (Badrinarayanan, Kendall, Cipolla 2017): the decoder mirrors the encoder, and each of its stages puts values
// back to where the encoder's max pooling took them from. Bayesian SegNet (Kendall, Badrinarayanan, Cipolla 2015) has
// dropout around the centre, and samples predictions with it (app/sampling.hpp). Names of the decoder are those of the
// authors' Caffe models.
#include <array>

#include "core/format.hpp"
#include "models/models.hpp"

namespace pixelwise {
namespace {

double bayesian_dropout(const ModelOptions& options) { return options.bayesian ? options.dropout.value_or(0.5) : 0; }

// To the size that the pooled map had, whatever the input's.
ValueId unpool(Builder& builder, const PooledMap& pooled, ValueId x, const std::string& name) {
  return builder.max_unpool2d(pooled.pooled, x, name, {{2, 2}, {2, 2}, {0, 0}, pooled.before});
}

}  // namespace

ModelOutputs segnet(Builder& builder, const ModelSpec& spec, ValueId image) {
  const double dropout = bayesian_dropout(spec.options), width = spec.options.width;
  const std::vector<PooledMap> pools = vgg16(builder, image, width, true, 1, dropout);
  // Channels of each stage's convolutions, from the deepest; the last one of all gives the scores.
  const std::array<std::vector<int64_t>, 5> stages{
      {{512, 512, 512}, {512, 512, 256}, {256, 256, 128}, {128, 64}, {64}}};
  ValueId x = builder.dropout(pools[4].map(), "backbone.drop5", dropout);
  for (size_t s = 0; s < stages.size(); ++s) {
    const size_t stage = 5 - s;
    x = unpool(builder, pools[stage - 1], x, format("classifier.upsample{}", stage));
    size_t number = stage >= 3 ? 3 : 2;
    for (const int64_t channels : stages[s]) {
      const std::string name = format("classifier.conv{}_{}_D", stage, number--);
      x = conv_norm(builder, spec.options, x, name, name + "_bn", {scaled(channels, width), 3});
    }
    if (stage >= 3) x = builder.dropout(x, format("classifier.drop{}", stage), dropout);
  }
  Conv2dSpec scores{spec.classes, {3, 3}};
  scores.pad = {1, 1};
  return {builder.conv2d(x, "classifier.conv1_1_D", scores), no_value};
}

// Four stages of one 7x7 convolution each; no ReLU in the decoder (section 3.1).
ModelOutputs segnet_basic(Builder& builder, const ModelSpec& spec, ValueId image) {
  const double dropout = bayesian_dropout(spec.options);
  const int64_t channels = scaled(64, spec.options.width);
  std::vector<PooledMap> pools;
  ValueId x = image;
  for (int stage = 1; stage <= 4; ++stage) {
    const std::string name = format("backbone.conv{}", stage);
    x = conv_norm(builder, spec.options, x, name, name + "_bn", {channels, 7});
    pools.push_back(pool(builder, x, format("backbone.pool{}", stage)));
    x = pools.back().map();
    if (stage >= 3) x = builder.dropout(x, format("backbone.drop{}", stage), dropout);
  }
  for (int stage = 4; stage >= 1; --stage) {
    const std::string name = format("classifier.conv_decode{}", stage);
    x = unpool(builder, pools[static_cast<size_t>(stage - 1)], x, format("classifier.upsample{}", stage));
    x = conv_norm(builder, spec.options, x, name, name + "_bn", {channels, 7, 1, 1, 1, Activation::none});
    if (stage >= 3) x = builder.dropout(x, format("classifier.drop{}", stage), dropout);
  }
  return {builder.conv2d(x, "classifier.conv_classifier", {spec.classes, {1, 1}}), no_value};
}

}  // namespace pixelwise
