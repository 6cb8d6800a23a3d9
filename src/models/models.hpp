// The functions behind the registry: backbones, and heads that take any of them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "pixelwise/models/registry.hpp"

namespace pixelwise {

/// A count of channels times the model's width, at least 1.
int64_t scaled(int64_t channels, double width);

/// A convolution without bias that keeps the size (but for its stride), batch norm, and an activation. With the option
/// `batch_norm` false: a convolution with bias, and the activation.
struct ConvNorm {
  int64_t channels, kernel = 1, stride = 1, dilation = 1, groups = 1;
  Activation act = Activation::relu;
  double eps = 1e-5;
};
ValueId conv_norm(Builder& builder, const ModelOptions& options, ValueId x, const std::string& conv,
                  const std::string& norm, const ConvNorm& spec);

/// Layers stride until the map has the output stride wanted; from there on they are dilated instead. The layer that
/// would have strided still has the dilation before it, as torchvision's replace_stride_with_dilation and DeepLab do
/// (Chen et al. 2017, section 3.1).
class Atrous {
 public:
  explicit Atrous(int64_t output_stride);  ///< throws UsageError unless it is 8, 16 or 32
  struct Layer {
    int64_t stride, dilation;
  };
  Layer layer(int64_t stride);  ///< the next layer, whose stride would be this

 private:
  int64_t output_stride_, stride_ = 1, dilation_ = 1;
};

/// The maps of a backbone that a head reads.
struct Backbone {
  ValueId map = no_value;        ///< the last one
  ValueId low_level = no_value;  ///< the last at stride 4
  ValueId auxiliary = no_value;  ///< torchvision's auxiliary head reads it (resnet: layer3)
};
using MakeBackbone = Backbone (*)(Builder& builder, const ModelOptions& options, ValueId image, int64_t output_stride);

/// A map that was max-pooled 2x2 (ceil: as Caffe, so that no row is lost), with what unpooling needs.
struct PooledMap {
  Builder::Pooled pooled;
  Size before;  ///< size of the map that was pooled
  ValueId map() const { return pooled.map; }
};
PooledMap pool(Builder& builder, ValueId x, const std::string& name);

/// VGG16's convolutions (Simonyan, Zisserman 2015, table 1, D), with torchvision's names under "backbone.": the maps
/// after its five poolings. dropout: after the third and the fourth of them (the fifth is the head's).
std::vector<PooledMap> vgg16(Builder& builder, ValueId image, double width, bool batch_norm, int64_t first_pad,
                             double dropout = 0);

template <int Depth>  // 10, 18, 34, 50 or 101
Backbone resnet(Builder& builder, const ModelOptions& options, ValueId image, int64_t output_stride);
Backbone mobilenet_v2(Builder& builder, const ModelOptions& options, ValueId image, int64_t output_stride);
Backbone xception65(Builder& builder, const ModelOptions& options, ValueId image, int64_t output_stride);

/// torchvision's FCNHead: 3x3 convolution to a quarter of the channels, dropout, scores.
ValueId fcn_head(Builder& builder, const ModelSpec& spec, ValueId x, const std::string& name);
/// Scores to the size of the image; with the option `auxiliary`, in training, the auxiliary head's too.
ModelOutputs to_pixels(Builder& builder, const ModelSpec& spec, ValueId scores, const Backbone& backbone,
                       ValueId image);
ModelOutputs fcn(Builder& builder, const ModelSpec& spec, ValueId image, MakeBackbone backbone);
ModelOutputs deeplabv3(Builder& builder, const ModelSpec& spec, ValueId image, MakeBackbone backbone,
                       int64_t output_stride);
ModelOutputs deeplabv3plus(Builder& builder, const ModelSpec& spec, ValueId image, MakeBackbone backbone);

// FCN: the stride of the last map before the upsampling to pixels, with and without batch norm.
template <int Stride, bool BatchNorm>
ModelOutputs fcn_vgg16(Builder& builder, const ModelSpec& spec, ValueId image);

ModelOutputs segnet(Builder& builder, const ModelSpec& spec, ValueId image);
ModelOutputs segnet_basic(Builder& builder, const ModelSpec& spec, ValueId image);

ModelOutputs tiny_fcn(Builder& builder, const ModelSpec& spec, ValueId image);
ModelOutputs pointwise_network(Builder& builder, const ModelSpec& spec, ValueId image);

}  // namespace pixelwise
