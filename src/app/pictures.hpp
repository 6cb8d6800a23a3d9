// What a network saw, as pictures.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/core/view.hpp"
#include "pixelwise/io/image.hpp"
#include "pixelwise/io/sheet.hpp"

namespace pixelwise {

/// Class ids in VOC's colours.
Image colour_ids(const Image& ids);
/// The colours of the ids over the photo, half and half.
Image overlay(const Image& photo, const Image& ids);
/// A picture of each channel of a score map (image 0, its upper left `size` pixels): white where the class scores
/// highest of all classes and pixels, black where lowest; one scale for all planes, so that they compare.
std::vector<Picture> score_planes(const View& scores, Size size, const std::vector<std::string>& class_names);

}  // namespace pixelwise
