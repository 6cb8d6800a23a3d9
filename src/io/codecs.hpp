// The decoders and encoders behind io/image.hpp, one file a library.
#pragma once
#include <string>

#include "pixelwise/io/image.hpp"

namespace pixelwise {

inline constexpr int64_t most_pixels = int64_t{1} << 28;
/// Throws DataError where an image is empty, has more than most_pixels, or more than `per_byte` for each byte of its
/// file: the most that the format can pack. So a few bytes cannot ask for much memory.
void check_image_size(const std::string& path, int64_t height, int64_t width, size_t file_bytes, int64_t per_byte);

/// A library's `reason` why a file cannot be decoded ("bad PNG") or encoded: DataError, or ResourceError where it says
/// that memory ran out.
[[noreturn]] void throw_codec_error(const std::string& path, const char* what, const std::string& reason);

// codec_png.cpp (libpng). Warnings and wrong checksums are errors.
Image decode_png(const std::string& path, const std::string& bytes);  ///< 1 (grey) or 3 channels
Image decode_png_indices(const std::string& path, const std::string& bytes);
std::string png_library();  ///< with its version
Size png_size(const std::string& path, const std::string& bytes);

// codec_jpeg.cpp (libjpeg-turbo). Warnings are errors.
std::string jpeg_library();  ///< with its version, stb_image where libjpeg-turbo is not there
Image decode_jpeg(const std::string& path, const std::string& bytes);
Size jpeg_size(const std::string& path, const std::string& bytes);

// codec_stb.cpp (stb_image): every other format, and JPEG where libjpeg-turbo is not there.
Image decode_stb(const std::string& path, const std::string& bytes);
Size stb_size(const std::string& path, const std::string& bytes);
std::string encode_jpeg(const Image& image, int quality);

}  // namespace pixelwise
