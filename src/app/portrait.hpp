// Portrait mode from one photo: what lies behind a subject is blurred as by a lens with a wide aperture.
#pragma once
#include "app/plane.hpp"
#include "pixelwise/io/image.hpp"

namespace pixelwise {

/// The mean of every factor x factor pixels; the last row and column may have fewer.
Image shrink(const Image& photo, int64_t factor);

/// How far out of focus every pixel of the background is, in [0, 1], guessed from where the subject (mask above 1/2)
/// stands: the ground rises from its feet to the far distance, half of the photo's height above them; and what lies far
/// aside is not at its distance either. Where the subject goes beyond the lower border, everything is far.
Plane defocus(const Plane& mask);

/// The photo where mask is 1; where it is 0, the mean over a disc of radius `largest_radius` times the defocus (which
/// is for the photo shrunk by `factor`), in linear light, over pixels of the background alone, so that the subject
/// leaves no halo; between, a mixture. The photo is RGB, of the mask's size.
Image blur_background(const Image& photo, const Plane& mask, const Plane& defocus, int64_t factor,
                      double largest_radius);

}  // namespace pixelwise
