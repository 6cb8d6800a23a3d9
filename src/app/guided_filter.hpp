// The guided filter (He, Sun, Tang 2010, "Guided image filtering"): smooths a mask, and keeps the edges that a photo
// has.
#pragma once
#include <array>

#include "app/plane.hpp"
#include "pixelwise/io/image.hpp"

namespace pixelwise {

/// A mask that is, around every pixel, an affine function of the colours of a photo (RGB in [0, 1]): factors of red,
/// green and blue, and what is added.
struct GuidedMask {
  std::array<Plane, 4> coefficients;

  /// The mask that they give on a photo that is `factor` times as large as the one they were made for; not clamped.
  /// (He, Sun 2015, "Fast guided filter": coefficients are smooth, and may come from a smaller photo.)
  Plane on(const Image& photo, int64_t factor = 1) const;
};

/// In each window of 2 radius + 1 pixels (cut at the borders), the affine function of the photo nearest to the mask,
/// with a penalty of epsilon on its factors squared; of the windows that cover a pixel, the mean. The photo is RGB, of
/// the mask's size.
GuidedMask guided_filter(const Image& photo, const Plane& mask, int64_t radius, double epsilon);

}  // namespace pixelwise
