// The specifications of all operators: what a node computes, without shapes and memory. Names and meanings are
// PyTorch's; dilation 1 is dense.
#pragma once
#include <cstdint>
#include <variant>

#include "pixelwise/core/shape.hpp"
#include "pixelwise/core/view.hpp"

namespace pixelwise {

enum class Activation : uint8_t { none, relu, relu6 };
enum class Phase : uint8_t { inference, training };

/// dst = src * weights + bias (cross-correlation). dst.h = (src.h + 2 pad - dilation (kernel - 1) - 1) / stride + 1.
/// weights: {O, kernel.h, kernel.w, I / groups}; depthwise (groups == I == O): {1, kernel.h, kernel.w, O}.
struct Conv2dSpec {
  int64_t out_channels = 0;
  Size kernel{1, 1}, stride{1, 1}, pad{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  bool bias = true;
};

/// The data gradient of a convolution, used forwards: dst.h = (src.h - 1) stride - 2 pad + dilation (kernel - 1) + 1
/// + output_pad. weights as the convolution's with swapped roles: {I, kernel.h, kernel.w, O / groups}.
struct ConvTranspose2dSpec {
  int64_t out_channels = 0;
  Size kernel{1, 1}, stride{1, 1}, pad{0, 0}, output_pad{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  bool bias = true;
};

/// dst = max over the window; indices (u8, relative to the window: ky * kernel.w + kx). `ceil` as PyTorch's ceil_mode.
struct MaxPool2dSpec {
  Size kernel{2, 2}, stride{2, 2}, pad{0, 0};
  bool ceil = false;
};
/// Puts every src pixel back to where max pooling (with this specification) took it from; the rest is 0; where
/// windows overlap, the last in row order wins, as PyTorch's. `size` is the map that was pooled.
struct MaxUnpool2dSpec {
  Size kernel{2, 2}, stride{2, 2}, pad{0, 0};
  Size size;
};
/// Mean over the window; `count_include_pad` as PyTorch.
struct AvgPool2dSpec {
  Size kernel{2, 2}, stride{2, 2}, pad{0, 0};
  bool ceil = false;
  bool count_include_pad = true;
};
/// Mean over all pixels of an image: dst is {N, 1, 1, C}.
struct GlobalAvgPoolSpec {};

/// y = (x - mean) / sqrt(var + eps) * weight + bias per channel. In training mean and (biased) variance are the
/// batch's, and running = (1 - momentum) running + momentum batch, with the unbiased variance.
/// Ioffe, Szegedy 2015, algorithm 1.
struct BatchNormSpec {
  double eps = 1e-5;
  double momentum = 0.1;
  Phase phase = Phase::training;
};

struct ActivationSpec {
  Activation function = Activation::relu;
};

/// Zeroes elements (or, with `channels`, whole maps: dropout2d) with probability p, scales the others by 1 / (1 - p).
/// The mask is a function of (seed, node, epoch, step, sample): nothing is saved. In inference it is the identity.
struct DropoutSpec {
  double p = 0.5;
  bool channels = false;
  Phase phase = Phase::training;
};

struct AddSpec {};     ///< dst = src[0] + src[1] + ...
struct ConcatSpec {};  ///< along the channels
/// The window of `size` at (top, left).
struct CropSpec {
  int64_t top = 0, left = 0;
  Size size;
};
/// Adds constant borders; the sizes are not negative.
struct PadSpec {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  double value = 0;
};
struct CastSpec {  ///< to integers: truncated, and clamped to their range; NaN becomes 0
  Type type = Type::f32;
};

enum class Interpolation : uint8_t { nearest, bilinear };
/// To `size`, as torch.nn.functional.interpolate (align_corners is for bilinear only).
struct ResizeSpec {
  Size size;
  Interpolation interpolation = Interpolation::bilinear;
  bool align_corners = false;
};

struct SoftmaxSpec {};  ///< over the channels
struct ArgmaxSpec {};   ///< over the channels, the first of equals; dst {N, H, W, 1} u8 (at most 256 channels)

/// src {N, H, W, 1} u8 class ids -> {N, H, W, classes}: 1 in the plane of the pixel's class. A pixel with
/// `ignore_label` is 0 in all planes, and so has no weight in the loss. Any other id >= classes is an error.
struct OneHotSpec {
  int64_t classes = 0;
  int64_t ignore_label = 255;
  Type type = Type::f32;
};

/// What the loss is divided by: the weight of all pixels, nothing, or the number of images.
enum class LossNormalization : uint8_t { mean, sum, batch };
/// sum over pixels and classes of w * t * (-log softmax(src)), divided by the sum of w * t (`mean`), by nothing
/// (`sum`) or by N (`batch`). Targets: one-hot or soft {N, H, W, C}, or class ids {N, H, W, 1} u8.
/// With label smoothing s a target t becomes (1 - s) t + s / C * sum(t), but not in the divisor (as PyTorch's for ids;
/// its mean over soft targets divides by the pixels instead). No weight at all gives loss 0 and gradient 0.
/// With `resize` src is first resized to its size, that of the targets, a tile at a time: the large map is never in
/// memory.
struct SoftmaxCrossEntropySpec {
  LossNormalization normalize = LossNormalization::mean;
  double label_smoothing = 0;
  int64_t ignore_label = 255;       ///< for class ids only
  bool class_weights = false;       ///< parameters[0] holds w, {1, 1, 1, C}
  bool shared_denominator = false;  ///< src[2], {1, 1, 1, 1}, is what to divide by: micro-batches share it
  ResizeSpec resize{};              ///< of the scores; size 0x0: none
  bool resizes() const { return resize.size != Size{}; }
};

/// dst = sum of factor_i * src_i over scalars: main loss + 0.5 auxiliary loss.
struct WeightedSumSpec {
  double factor[4] = {1, 1, 1, 1};
};

using OpSpec =
    std::variant<Conv2dSpec, ConvTranspose2dSpec, MaxPool2dSpec, MaxUnpool2dSpec, AvgPool2dSpec, GlobalAvgPoolSpec,
                 BatchNormSpec, ActivationSpec, DropoutSpec, AddSpec, ConcatSpec, CropSpec, PadSpec, CastSpec,
                 ResizeSpec, SoftmaxSpec, ArgmaxSpec, OneHotSpec, SoftmaxCrossEntropySpec, WeightedSumSpec>;

/// What a node of the graph computes with its specification.
enum class Pass : uint8_t { forward, backward, backward_data, backward_weights };

}  // namespace pixelwise
