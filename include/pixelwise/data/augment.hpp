// Augmentation and the step from 8-bit photos to the network's input.
#pragma once
#include <vector>

#include "pixelwise/core/rng.hpp"
#include "pixelwise/core/view.hpp"
#include "pixelwise/data/dataset.hpp"

namespace pixelwise {

/// Config key `augment`. Labels are resampled with nearest, always.
struct AugmentOptions {
  double scale_low = 1, scale_high = 1;  ///< random scale, uniform
  Size crop{0, 0};                       ///< random crop; smaller images are padded with void and the mean; {0,0}: none
  double flip = 0;                       ///< probability of a horizontal flip
  double brightness = 0, contrast = 0, saturation = 0;  ///< factors in [1 - x, 1 + x]
};

/// Config key `model.normalize`: input = (pixel - mean) / std, per channel.
struct Normalize {
  std::vector<double> mean{127.5, 127.5, 127.5}, std{127.5, 127.5, 127.5};
};

/// The sample as it is trained on; a pure function of the sample, the options and the random stream.
Sample augment(const Sample& sample, const AugmentOptions& options, int64_t ignore_label, const Normalize& normalize,
               Random random);

/// Writes a photo into image `n` of an input map {N, H, W, C} (f32 or f64), normalised; pixels right of and below the
/// photo become 0 (the mean).
void write_input(const Image& photo, const Normalize& normalize, const View& input, int64_t n);
/// Writes a mask into image `n` of a label map {N, H, W, 1} u8; pixels right of and below it become `ignore_label`.
void write_labels(const Image& mask, int64_t ignore_label, const View& labels, int64_t n);

/// Photos bilinear (half-pixel centres); where one shrinks, the triangle is as wide as the step between the pixels of
/// the result, so that every pixel counts (PIL's BILINEAR). Masks nearest. `augment` resamples photos without widening.
Image resize_photo(const Image& photo, Size size);
Image resize_mask(const Image& mask, Size size);

}  // namespace pixelwise
