// DeepLab v3 (Chen et al. 2017) with torchvision's names, and v3+ (Chen et al. 2018): atrous spatial pyramid pooling on
// the last map of a backbone, and in v3+ a decoder that refines with a map of stride 4.
#include "core/format.hpp"
#include "models/models.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

class Head {
 public:
  Head(Builder& builder, const ModelSpec& spec, int64_t output_stride)
      : b_(builder), spec_(spec), channels_(spec.options.head_channels) {
    const int64_t factor = output_stride == 8 ? 2 : 1;  // 2017, section 3.3: rates are doubled at output stride 8
    rates_ = spec.options.rates.value_or(std::vector<int64_t>{6 * factor, 12 * factor, 18 * factor});
  }

  // 2017, section 3.3: a 1x1 convolution, one 3x3 for every rate, the pooled image; concatenated and projected.
  ValueId aspp(ValueId x, const std::string& name, double dropout) {
    int branch = 0;
    const auto branch_name = [&] { return format("{}.convs.{}", name, branch++); };
    std::string part = branch_name();
    std::vector<ValueId> branches{conv_norm(b_, spec_.options, x, part + ".0", part + ".1", {channels_})};
    for (const int64_t rate : rates_) branches.push_back(conv3x3(x, branch_name(), 0, rate));
    if (spec_.options.image_pooling != "none") branches.push_back(image_pooling(x, branch_name()));
    ValueId y = branches.size() == 1 ? branches[0] : b_.concat(branches, name + ".concat");
    y = conv_norm(b_, spec_.options, y, name + ".project.0", name + ".project.1", {channels_});
    return b_.dropout(y, name + ".project.3", spec_.options.dropout.value_or(dropout));
  }

  // 2018, section 3.1 and table 1: 48 channels of the finer map, concatenated; two 3x3 convolutions.
  ValueId decode(ValueId x, ValueId low_level) {
    low_level = conv_norm(b_, spec_.options, low_level, "classifier.low_level.0", "classifier.low_level.1", {48});
    x = resize_like(x, low_level, "classifier.decoder.resize");
    x = b_.concat({x, low_level}, "classifier.decoder.concat");
    x = conv3x3(x, "classifier.decoder", 0, 1);
    return conv3x3(x, "classifier.decoder", spec_.options.separable ? 6 : 3, 1);
  }

  // Layers are numbered as in a torch Sequential, from `first`.
  ValueId conv3x3(ValueId x, const std::string& name, int first, int64_t rate) {
    const auto layer = [&](int i) { return format("{}.{}", name, first + i); };
    if (!spec_.options.separable) return conv_norm(b_, spec_.options, x, layer(0), layer(1), {channels_, 3, 1, rate});
    const int64_t in = b_.at(x).shape.c;
    x = conv_norm(b_, spec_.options, x, layer(0), layer(1), {in, 3, 1, rate, in});
    return conv_norm(b_, spec_.options, x, layer(3), layer(4), {channels_});
  }

 private:
  ValueId resize_like(ValueId x, ValueId reference, const std::string& name) {
    return b_.resize(x, name, {b_.at(reference).shape.size(), Interpolation::bilinear, spec_.options.align_corners});
  }

  // One value a channel and photo: batch norm would train on a single value where the batch is one photo, so there it
  // takes the running statistics.
  ValueId image_pooling(ValueId x, const std::string& name) {
    const std::string& choice = spec_.options.image_pooling;
    if (choice != "batch" && choice != "running" && choice != "unnormalised")
      throw UsageError(format("model.options.image_pooling is '{}'; use batch, running, unnormalised or none", choice));
    Conv2dSpec conv{channels_};
    const bool normalised = spec_.options.batch_norm && choice != "unnormalised";
    conv.bias = !normalised;
    ValueId y = b_.conv2d(b_.global_avg_pool(x, name + ".0"), name + ".1", conv);
    if (normalised) {
      const bool running = choice == "running" || b_.at(y).shape.n == 1;
      y = b_.batch_norm(y, name + ".2", 1e-5, 0.1, running ? Phase::inference : b_.phase());
    }
    return resize_like(b_.relu(y, name + ".3"), x, name + ".resize");
  }

  Builder& b_;
  const ModelSpec& spec_;
  int64_t channels_;
  std::vector<int64_t> rates_;
};

}  // namespace

ModelOutputs deeplabv3(Builder& builder, const ModelSpec& spec, ValueId image, MakeBackbone make_backbone,
                       int64_t output_stride) {
  output_stride = spec.options.output_stride.value_or(output_stride);
  const Backbone backbone = make_backbone(builder, spec.options, image, output_stride);
  Head head(builder, spec, output_stride);
  ValueId x = head.aspp(backbone.map, "classifier.0", 0.5);
  const char* score = "classifier.1";
  if (spec.options.head_conv) {
    x = head.conv3x3(x, "classifier", 1, 1);
    score = spec.options.separable ? "classifier.7" : "classifier.4";
  }
  x = builder.conv2d(x, score, {spec.classes, {1, 1}});
  return to_pixels(builder, spec, x, backbone, image);
}

ModelOutputs deeplabv3plus(Builder& builder, const ModelSpec& spec, ValueId image, MakeBackbone make_backbone) {
  const int64_t output_stride = spec.options.output_stride.value_or(16);
  const Backbone backbone = make_backbone(builder, spec.options, image, output_stride);
  Head head(builder, spec, output_stride);
  ValueId x = head.aspp(backbone.map, "classifier.aspp", 0.1);
  x = head.decode(x, backbone.low_level);
  return to_pixels(builder, spec, builder.conv2d(x, "classifier.score", {spec.classes, {1, 1}}), backbone, image);
}

}  // namespace pixelwise
