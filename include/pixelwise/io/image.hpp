// Images in and out. Photos are decoded with libjpeg-turbo and libpng (stb_image for other formats, and for JPEG in the
// preset `minimal`); masks are read as palette or grey indices, never as colours.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "pixelwise/core/shape.hpp"

namespace pixelwise {

/// 8-bit pixels, rows from top to bottom, channels interleaved: 1 (grey or class ids) or 3 (RGB).
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int64_t h, int64_t w, int64_t c, uint8_t value = 0);
  uint8_t* at(int64_t y, int64_t x) { return pixels.data() + (y * width + x) * channels; }
  const uint8_t* at(int64_t y, int64_t x) const { return pixels.data() + (y * width + x) * channels; }
  Size size() const { return {height, width}; }
};

/// The window of `size` at (top, left), which must lie inside.
Image cut(const Image& image, int64_t top, int64_t left, Size size);

using Colour = std::array<uint8_t, 3>;

/// A photo as `channels` (1 or 3) planes: grey is expanded, colour becomes luma (ITU-R BT.601), alpha is dropped,
/// 16 bits lose their lower 8. Throws DataError naming the file; a warning of the JPEG decoder (truncated data) is an
/// error.
Image read_photo(const std::string& path, int64_t channels = 3);
/// Class ids: an 8-bit (or fewer) palette or grey PNG, by index. RGB and 16-bit PNGs, and other formats, are refused.
Image read_mask(const std::string& path);
/// Width and height from the header alone.
Size read_image_size(const std::string& path);

void write_png(const std::string& path, const Image& image);  ///< grey or RGB; atomically
void write_palette_png(const std::string& path, const Image& ids, const std::vector<Colour>& palette);
void write_jpeg(const std::string& path, const Image& image, int quality = 90);  ///< for tests; stb in `minimal`

/// Which libraries decode what: "JPEG: libjpeg-turbo 2.1.5; PNG: libpng 1.6.39; others: stb_image". Two decoders may
/// give a pixel of a JPEG another value.
std::string image_decoders();

/// All image formats that read_photo takes, by suffix (lower case, with the dot).
bool is_image_path(const std::string& path);

}  // namespace pixelwise
