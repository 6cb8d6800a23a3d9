#include "app/pictures.hpp"

#include <algorithm>

#include "pixelwise/data/dataset.hpp"

namespace pixelwise {

Image colour_ids(const Image& ids) {
  const std::vector<Colour> palette = voc_palette();
  Image picture(ids.height, ids.width, 3);
  for (int64_t i = 0; i < ids.height * ids.width; ++i) {
    const Colour& colour = palette[ids.pixels[static_cast<size_t>(i)]];
    std::copy(colour.begin(), colour.end(), picture.pixels.begin() + 3 * i);
  }
  return picture;
}

Image overlay(const Image& photo, const Image& ids) {
  Image picture = colour_ids(ids);
  for (int64_t y = 0; y < photo.height; ++y) {
    for (int64_t x = 0; x < photo.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        uint8_t& to = picture.at(y, x)[c];
        to = static_cast<uint8_t>((to + photo.at(y, x)[photo.channels == 3 ? c : 0] + 1) / 2);
      }
    }
  }
  return picture;
}

std::vector<Picture> score_planes(const View& scores, Size size, const std::vector<std::string>& class_names) {
  float low = scores.at<float>(0, 0, 0)[0], high = low;
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x) {
      const auto [least, most] =
          std::minmax_element(scores.at<float>(0, y, x), scores.at<float>(0, y, x) + scores.shape.c);
      low = std::min(low, *least);
      high = std::max(high, *most);
    }
  }
  const float scale = high > low ? 255 / (high - low) : 0;
  std::vector<Picture> planes;
  for (int64_t c = 0; c < scores.shape.c; ++c) {
    Image plane(size.h, size.w, 1);
    for (int64_t y = 0; y < size.h; ++y) {
      for (int64_t x = 0; x < size.w; ++x)
        *plane.at(y, x) = static_cast<uint8_t>((scores.at<float>(0, y, x)[c] - low) * scale + 0.5F);
    }
    planes.push_back({class_names.at(static_cast<size_t>(c)), std::move(plane)});
  }
  return planes;
}

}  // namespace pixelwise
