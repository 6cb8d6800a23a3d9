// Fully convolutional networks (Long, Shelhamer, Darrell 2015): VGG16 whose fully connected layers are convolutions, a
// score for every class at stride 32, and bilinear upsampling that may be learned. FCN-16s adds scores of pool4 (stride
// 16), FCN-8s those of pool3 too (figure 3). Names are those of the authors' Caffe models.
//
// Padding: `published` pads the photo by 100 pixels, because fc6 is a 7x7 convolution without padding, and crops; the
// offsets (19, 27, 31 at the end; 5 and 9 of the skips) follow from the geometry of the maps. `same` pads every
// convolution so that maps keep their size.
#include <algorithm>

#include "core/format.hpp"
#include "models/models.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

class Fcn {
 public:
  Fcn(Builder& builder, const ModelSpec& spec) : b_(builder), spec_(spec), published_(published(spec.options)) {}

  std::vector<PooledMap> backbone(ValueId image, bool batch_norm) {
    return vgg16(b_, image, spec_.options.width, batch_norm, published_ ? 100 : 1);
  }

  // fc6, fc7 and the scores at stride 32 (section 4.1).
  ValueId coarse_scores(ValueId pool5) {
    const int64_t channels = spec_.options.fc_channels.value_or(scaled(4096, spec_.options.width));
    ValueId x = fully_connected(pool5, "6", channels, 7, published_ ? 0 : 3);
    x = fully_connected(x, "7", channels, 1, 0);
    return score(x, "classifier.score_fr");
  }

  // Scores of a finer map, added to the upsampled ones of the coarser (section 4.2). Trained at once, in one stage, the
  // finer maps are scaled down, because their activations are larger (Shelhamer, Long, Darrell 2017, section 4.3).
  ValueId refine(ValueId coarse, ValueId pool, const std::string& name, const std::string& up_name, double scale) {
    const std::string score_name = "classifier.score_" + name;
    if (spec_.options.at_once) pool = b_.scale(pool, "classifier.scale_" + name, scale);
    const ValueId up = upsample(coarse, up_name, 2);
    const ValueId fine = score(pool, score_name);
    const bool crop_fine = published_;
    const ValueId a = crop_fine ? up : crop_to(up, fine, up_name + ".crop");
    const ValueId b = crop_fine ? crop_to(fine, up, score_name + ".crop") : fine;
    return b_.add({a, b}, score_name + ".fuse");
  }

  // To pixels.
  ValueId finish(ValueId x, ValueId image, int64_t stride) {
    return crop_to(upsample(x, format("classifier.upscore{}", stride), stride), image, "scores.crop");
  }

 private:
  static bool published(const ModelOptions& options) {
    if (options.padding != "same" && options.padding != "published")
      throw UsageError(format("model.options.padding is '{}'; use same or published", options.padding));
    return options.padding == "published";
  }

  ValueId fully_connected(ValueId x, const std::string& number, int64_t channels, int64_t kernel, int64_t pad) {
    Conv2dSpec conv{channels, {kernel, kernel}};
    conv.pad = {pad, pad};
    x = b_.conv2d(x, "classifier.fc" + number, conv);
    x = b_.relu(x, "classifier.relu" + number);
    return b_.dropout(x, "classifier.drop" + number, spec_.options.dropout.value_or(0.5));
  }

  // Begins with small random weights. (The paper's zeros, section 4.2, keep the coarser predictions unmodified at
  // first, but learn more slowly where all is trained at once: configs/fcn_overfit_voc.json, 0.71 against 0.82 after
  // 100 steps.)
  ValueId score(ValueId x, const std::string& name) {
    return b_.conv2d(x, name, {spec_.classes, {1, 1}}, Init::normal_001);
  }

  // A transposed convolution that starts as bilinear interpolation: kernel 2 x stride (section 3.3).
  ValueId upsample(ValueId x, const std::string& name, int64_t stride) {
    ConvTranspose2dSpec spec{spec_.classes, {2 * stride, 2 * stride}, {stride, stride}};
    if (!published_) spec.pad = {stride / 2, stride / 2};
    spec.bias = false;
    return b_.conv_transpose2d(x, name, spec, Init::bilinear, spec_.options.upsampling == "fixed");
  }

  ValueId crop_to(ValueId x, ValueId reference, const std::string& name) {
    if (b_.at(x).shape.size() == b_.at(reference).shape.size()) return x;
    return b_.crop_like(x, reference, name);
  }

  Builder& b_;
  const ModelSpec& spec_;
  bool published_;
};

}  // namespace

template <int Stride, bool BatchNorm>
ModelOutputs fcn_vgg16(Builder& builder, const ModelSpec& spec, ValueId image) {
  Fcn fcn(builder, spec);
  const std::vector<PooledMap> pools = fcn.backbone(image, BatchNorm);
  ValueId x = fcn.coarse_scores(pools[4].map());
  if (Stride <= 16) x = fcn.refine(x, pools[3].map(), "pool4", "classifier.upscore2", 0.01);
  if (Stride <= 8) x = fcn.refine(x, pools[2].map(), "pool3", "classifier.upscore_pool4", 0.0001);
  return {fcn.finish(x, image, Stride), no_value};
}

ValueId fcn_head(Builder& builder, const ModelSpec& spec, ValueId x, const std::string& name) {
  x = conv_norm(builder, spec.options, x, name + ".0", name + ".1",
                {std::max<int64_t>(1, builder.at(x).shape.c / 4), 3});
  x = builder.dropout(x, name + ".3", spec.options.dropout.value_or(0.1));
  return builder.conv2d(x, name + ".4", {spec.classes, {1, 1}});
}

ModelOutputs to_pixels(Builder& builder, const ModelSpec& spec, ValueId scores, const Backbone& backbone,
                       ValueId image) {
  const ResizeSpec resize{builder.at(image).shape.size(), Interpolation::bilinear, spec.options.align_corners};
  ModelOutputs outputs{builder.resize(scores, "scores.resize", resize), no_value};
  if (!spec.options.auxiliary || builder.phase() == Phase::inference) return outputs;
  const ValueId x = fcn_head(builder, spec, backbone.auxiliary, "aux_classifier");
  outputs.auxiliary = builder.resize(x, "aux_scores.resize", resize);
  return outputs;
}

ModelOutputs fcn(Builder& builder, const ModelSpec& spec, ValueId image, MakeBackbone make_backbone) {
  const Backbone backbone = make_backbone(builder, spec.options, image, spec.options.output_stride.value_or(8));
  return to_pixels(builder, spec, fcn_head(builder, spec, backbone.map, "classifier"), backbone, image);
}

template ModelOutputs fcn_vgg16<32, false>(Builder&, const ModelSpec&, ValueId);
template ModelOutputs fcn_vgg16<16, false>(Builder&, const ModelSpec&, ValueId);
template ModelOutputs fcn_vgg16<8, false>(Builder&, const ModelSpec&, ValueId);
template ModelOutputs fcn_vgg16<32, true>(Builder&, const ModelSpec&, ValueId);
template ModelOutputs fcn_vgg16<16, true>(Builder&, const ModelSpec&, ValueId);
template ModelOutputs fcn_vgg16<8, true>(Builder&, const ModelSpec&, ValueId);

}  // namespace pixelwise
