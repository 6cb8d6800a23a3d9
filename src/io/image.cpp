#include "pixelwise/io/image.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/format.hpp"
#include "io/codecs.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"

namespace pixelwise {
namespace {

constexpr int64_t largest_file = int64_t{1} << 30;

bool is_png(const std::string& bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }
bool is_jpeg(const std::string& bytes) { return bytes.starts_with("\xff\xd8\xff"); }

// ITU-R BT.601 luma, in sixteenths of a bit.
uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
}

Image with_channels(const Image& image, int64_t channels) {
  if (image.channels == channels) return image;
  Image result(image.height, image.width, channels);
  const int64_t count = image.height * image.width;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* from = image.pixels.data() + i * image.channels;
    uint8_t* to = result.pixels.data() + i * channels;
    if (channels == 1) {
      *to = luma(from);
    } else {
      std::fill_n(to, channels, *from);
    }
  }
  return result;
}

}  // namespace

Image::Image(int64_t h, int64_t w, int64_t c, uint8_t value)
    : height(h), width(w), channels(c), pixels(static_cast<size_t>(h * w * c), value) {}

Image cut(const Image& image, int64_t top, int64_t left, Size size) {
  Image result(size.h, size.w, image.channels);
  for (int64_t y = 0; y < size.h; ++y) std::copy_n(image.at(top + y, left), size.w * image.channels, result.at(y, 0));
  return result;
}

void check_image_size(const std::string& path, int64_t height, int64_t width, size_t file_bytes, int64_t per_byte) {
  if (height < 1 || width < 1 || height > most_pixels / width)
    throw DataError(format("{}: an image of {}x{} pixels; wanted 1 to {} in all", path, height, width, most_pixels));
  if (height * width / per_byte > static_cast<int64_t>(file_bytes))
    throw DataError(format("{}: an image of {}x{} pixels in a file of {} bytes: damaged or truncated", path, height,
                           width, file_bytes));
}

void throw_codec_error(const std::string& path, const char* what, const std::string& reason) {
  if (reason.find("emory") != std::string::npos || reason.find("outofmem") != std::string::npos)
    throw ResourceError(format("{}: out of memory: {}", path, reason));
  throw DataError(format("{}: {}: {}", path, what, reason));
}

Image read_photo(const std::string& path, int64_t channels) {
  const std::string bytes = read_file(path, largest_file);
  const Image image = is_png(bytes)    ? decode_png(path, bytes)
                      : is_jpeg(bytes) ? decode_jpeg(path, bytes)
                                       : decode_stb(path, bytes);
  return with_channels(image, channels);
}

Image read_mask(const std::string& path) {
  const std::string bytes = read_file(path, largest_file);
  if (!is_png(bytes))
    throw DataError(
        format("{}: not a PNG; masks are 8-bit palette or grey PNGs (other formats lose or blur class ids)", path));
  return decode_png_indices(path, bytes);
}

Size read_image_size(const std::string& path) {
  const std::string bytes = read_file(path, largest_file);
  return is_png(bytes) ? png_size(path, bytes) : is_jpeg(bytes) ? jpeg_size(path, bytes) : stb_size(path, bytes);
}

void write_jpeg(const std::string& path, const Image& image, int quality) {
  write_file(path, encode_jpeg(image, quality));
}

std::string image_decoders() { return format("JPEG: {}; PNG: {}; others: stb_image", jpeg_library(), png_library()); }

bool is_image_path(const std::string& path) {
  std::string suffix = std::filesystem::path(path).extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* known : {".jpg", ".jpeg", ".png", ".bmp", ".tga", ".ppm", ".pgm", ".gif"}) {
    if (suffix == known) return true;
  }
  return false;
}

}  // namespace pixelwise
