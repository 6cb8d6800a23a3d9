// stb_image for every format that has no library of its own here, and for JPEG in the preset `minimal`. It takes zeros
// for what a truncated file lacks: the stream below notices. Damage inside of a JPEG goes unnoticed, which is why
// libjpeg-turbo is preferred.
#include <algorithm>
#include <memory>

#include "core/format.hpp"
#include "io/codecs.hpp"
#include "pixelwise/core/error.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#define STBI_MAX_DIMENSIONS (1 << 24)
#define STBI_NO_PNG  // formats that is_image_path does not name, or that have a decoder of their own
#define STBI_NO_PSD
#define STBI_NO_HDR
#define STBI_NO_PIC
#ifdef PIXELWISE_TURBOJPEG
#define STBI_NO_JPEG
#endif
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace pixelwise {
namespace {

// Of the last failure in this thread; some have none.
const char* reason() {
  const char* text = stbi_failure_reason();
  return text ? text : "no reason given";
}

// A file in memory that knows whether more was asked of it than it has. stb_image refills a buffer of 128 bytes with
// whatever is left; all its other reads want every byte.
struct Stream {
  const std::string& bytes;
  size_t at = 0;
  bool past_end = false;

  static int read(void* stream, char* to, int wanted) {
    auto* self = static_cast<Stream*>(stream);
    const int got = static_cast<int>(std::min(self->bytes.size() - self->at, static_cast<size_t>(wanted)));
    if (got == 0 || (got < wanted && wanted != sizeof stbi__context::buffer_start)) self->past_end = true;
    std::copy_n(self->bytes.data() + self->at, got, to);
    self->at += static_cast<size_t>(got);
    return got;
  }
  static void skip(void* stream, int count) {
    auto* self = static_cast<Stream*>(stream);
    const int64_t to = static_cast<int64_t>(self->at) + count;
    if (to < 0 || to > static_cast<int64_t>(self->bytes.size())) self->past_end = true;
    self->at = static_cast<size_t>(std::clamp<int64_t>(to, 0, static_cast<int64_t>(self->bytes.size())));
  }
  static int eof(void* stream) {
    const auto* self = static_cast<const Stream*>(stream);
    return self->at >= self->bytes.size();
  }
};
constexpr stbi_io_callbacks calls{Stream::read, Stream::skip, Stream::eof};

struct Header {
  int width = 0, height = 0, channels = 0;
};

// Whether a number in the header of a PNM file (P5, P6: width, height, largest value) has more than nine digits: they
// overflow in stb_image. Comments reach from # to the end of the line.
bool has_overlong_number(const std::string& bytes) {
  int numbers = 0, digits = 0;
  bool comment = false;
  for (size_t i = 2; i < bytes.size() && numbers < 3; ++i) {
    const bool digit = !comment && bytes[i] >= '0' && bytes[i] <= '9';
    if (!digit && digits > 0) ++numbers;
    digits = digit ? digits + 1 : 0;
    if (digits > 9) return true;
    comment = comment ? bytes[i] != '\n' && bytes[i] != '\r' : bytes[i] == '#';
  }
  return false;
}

Header read_header(const std::string& path, const std::string& bytes) {
  Header h;
  if ((bytes.starts_with("P5") || bytes.starts_with("P6")) && has_overlong_number(bytes))
    throw DataError(format("{}: a number of more than nine digits in its header", path));
  Stream stream{bytes};
  if (!stbi_info_from_callbacks(&calls, &stream, &h.width, &h.height, &h.channels))
    throw_codec_error(path, "not an image that can be read", reason());
  constexpr int64_t pixels_per_byte = 4096 * 2 / 3;  // GIF: the longest string of a code, which has 12 bits then
  check_image_size(path, h.height, h.width, bytes.size(), pixels_per_byte);
  return h;
}

}  // namespace

Image decode_stb(const std::string& path, const std::string& bytes) {
  const Header h = read_header(path, bytes);
  const int channels = h.channels <= 2 ? 1 : 3;  // alpha is dropped
  int width = 0, height = 0, found = 0;
  Stream stream{bytes};
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_callbacks(&calls, &stream, &width, &height, &found, channels), stbi_image_free);
  if (stream.past_end) throw DataError(format("{}: damaged image: the file is truncated", path));
  if (!pixels) throw_codec_error(path, "damaged image", reason());
  Image image(height, width, channels);
  std::copy_n(pixels.get(), image.pixels.size(), image.pixels.begin());
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
