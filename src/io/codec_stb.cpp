// stb_image for every format that has no library of its own here, and for JPEG in the preset `minimal`. It accepts
// truncated JPEGs, which is why libjpeg-turbo is preferred.
#include <algorithm>

#include "core/format.hpp"
#include "io/codecs.hpp"
#include "pixelwise/core/error.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#define STBI_MAX_DIMENSIONS (1 << 24)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace pixelwise {
namespace {

const stbi_uc* data_of(const std::string& bytes) { return reinterpret_cast<const stbi_uc*>(bytes.data()); }

struct Header {
  int width = 0, height = 0, channels = 0;
};

Header read_header(const std::string& path, const std::string& bytes) {
  Header h;
  if (!stbi_info_from_memory(data_of(bytes), static_cast<int>(bytes.size()), &h.width, &h.height, &h.channels))
    throw DataError(format("{}: not an image that can be read: {}", path, stbi_failure_reason()));
  check_image_size(path, h.height, h.width);
  return h;
}

}  // namespace

Image decode_stb(const std::string& path, const std::string& bytes) {
  const Header h = read_header(path, bytes);
  const int channels = h.channels <= 2 ? 1 : 3;  // alpha is dropped
  int width = 0, height = 0, found = 0;
  stbi_uc* pixels =
      stbi_load_from_memory(data_of(bytes), static_cast<int>(bytes.size()), &width, &height, &found, channels);
  if (!pixels) throw DataError(format("{}: damaged image: {}", path, stbi_failure_reason()));
  Image image(height, width, channels);
  std::copy_n(pixels, image.pixels.size(), image.pixels.begin());
  stbi_image_free(pixels);
  return image;
}

Size stb_size(const std::string& path, const std::string& bytes) {
  const Header h = read_header(path, bytes);
  return {h.height, h.width};
}

std::string encode_jpeg(const Image& image, int quality) {
  std::string out;
  stbi_write_jpg_to_func(
      [](void* to, void* from, int count) {
        static_cast<std::string*>(to)->append(static_cast<char*>(from), static_cast<size_t>(count));
      },
      &out, static_cast<int>(image.width), static_cast<int>(image.height), static_cast<int>(image.channels),
      image.pixels.data(), quality);
  return out;
}

}  // namespace pixelwise
