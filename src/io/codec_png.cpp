// PNG with libpng: photos as 8-bit grey or RGB, masks by index. libpng reports errors by a call that must not return;
// ours throws, which is safe because libpng is C code without cleanup of its own, built with unwind tables; all memory
// is freed by the destructors below.
#include <png.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/format.hpp"
#include "io/codecs.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"

namespace pixelwise {
namespace {

struct Context {
  const std::string* path;
  const std::string* bytes = nullptr;
  size_t at = 0;
  std::string* out = nullptr;
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  const auto* context = static_cast<const Context*>(png_get_error_ptr(png));
  throw_codec_error(*context->path, "bad PNG", text);
}
void on_warning(png_structp png, png_const_charp text) {
  // Damage of the data itself is an error; what else libpng remarks on does not change the pixels.
  if (std::strstr(text, "CRC") || std::strstr(text, "Truncated") || std::strstr(text, "Too much image data"))
    on_error(png, text);
}

void read_bytes(png_structp png, png_bytep to, size_t count) {
  auto* context = static_cast<Context*>(png_get_io_ptr(png));
  if (context->bytes->size() - context->at < count) png_error(png, "the file is truncated");
  std::memcpy(to, context->bytes->data() + context->at, count);
  context->at += count;
}

class Reader {
 public:
  Reader(const std::string& path, const std::string& bytes) : context_{&path, &bytes} {
    handle_.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &context_, on_error, on_warning);
    handle_.info = png_create_info_struct(handle_.png);
    png_set_crc_action(handle_.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(handle_.png, 1u << 24, 1u << 24);
    // Texts, profiles and the like are passed over, not inflated: they do not change the pixels.
    png_set_keep_unknown_chunks(handle_.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_read_fn(handle_.png, &context_, read_bytes);
    png_read_info(handle_.png, handle_.info);
    height = png_get_image_height(handle_.png, handle_.info);
    width = png_get_image_width(handle_.png, handle_.info);
    depth = png_get_bit_depth(handle_.png, handle_.info);
    colour = png_get_color_type(handle_.png, handle_.info);
    constexpr int64_t largest_deflation = 1032;  // 258 bytes in two bits
    const int64_t pixel_bits = depth * std::max<int64_t>(png_get_channels(handle_.png, handle_.info), 1);
    check_image_size(path, height, width, bytes.size(), largest_deflation * 8 / std::max<int64_t>(pixel_bits, 1));
  }

  png_structp png() { return handle_.png; }

  Image read(int64_t channels) {
    png_set_interlace_handling(handle_.png);
    png_read_update_info(handle_.png, handle_.info);
    if (png_get_rowbytes(handle_.png, handle_.info) != static_cast<size_t>(width * channels))
      png_error(handle_.png, "unexpected row size");
    Image image(height, width, channels);
    std::vector<png_bytep> rows;
    for (int64_t y = 0; y < height; ++y) rows.push_back(image.at(y, 0));
    png_read_image(handle_.png, rows.data());
    png_read_end(handle_.png, nullptr);
    return image;
  }

  int64_t height = 0, width = 0;
  int depth = 0, colour = 0;

 private:
  Context context_;
  struct Handle {  // freed even where the constructor above throws
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Handle() { png_destroy_read_struct(&png, &info, nullptr); }
  } handle_;
};

void write_bytes(png_structp png, png_bytep from, size_t count) {
  static_cast<Context*>(png_get_io_ptr(png))->out->append(reinterpret_cast<const char*>(from), count);
}

void write(const std::string& path, const Image& image, const std::vector<Colour>* palette) {
  std::string out;
  Context context{&path, nullptr, 0, &out};
  struct Writer {
    png_structp png = nullptr;
    png_infop info = nullptr;
    ~Writer() { png_destroy_write_struct(&png, &info); }
  } w;
  w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &context, on_error, on_warning);
  w.info = png_create_info_struct(w.png);
  png_set_write_fn(w.png, &context, write_bytes, nullptr);
  const int colour = palette ? PNG_COLOR_TYPE_PALETTE : image.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY;
  png_set_IHDR(w.png, w.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8, colour,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> colours;
  if (palette) {
    for (const Colour& c : *palette) colours.push_back({c[0], c[1], c[2]});
    png_set_PLTE(w.png, w.info, colours.data(), static_cast<int>(colours.size()));
  }
  png_set_compression_level(w.png, 6);
  png_write_info(w.png, w.info);
  for (int64_t y = 0; y < image.height; ++y) png_write_row(w.png, image.at(y, 0));
  png_write_end(w.png, w.info);
  write_file(path, out);
}

}  // namespace

Image decode_png(const std::string& path, const std::string& bytes) {
  Reader reader(path, bytes);
  png_structp png = reader.png();
  if (reader.colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (reader.colour == PNG_COLOR_TYPE_GRAY && reader.depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (reader.depth == 16) png_set_strip_16(png);
  png_set_strip_alpha(png);
  const bool grey = reader.colour == PNG_COLOR_TYPE_GRAY || reader.colour == PNG_COLOR_TYPE_GRAY_ALPHA;
  return reader.read(grey ? 1 : 3);
}

Image decode_png_indices(const std::string& path, const std::string& bytes) {
  Reader reader(path, bytes);
  if (reader.depth == 16)
    throw DataError(
        format("{}: a mask of 16 bits a pixel; wanted 8-bit class ids (palette or grey): convert it", path));
  if (reader.colour != PNG_COLOR_TYPE_PALETTE && reader.colour != PNG_COLOR_TYPE_GRAY)
    throw DataError(
        format("{}: a mask in colours (RGB or alpha); wanted class ids as an 8-bit palette or grey PNG: convert "
               "the colours to ids",
               path));
  if (reader.depth < 8) png_set_packing(reader.png());
  return reader.read(1);
}

Size png_size(const std::string& path, const std::string& bytes) {
  const Reader reader(path, bytes);
  return {reader.height, reader.width};
}

std::string png_library() { return format("libpng {}", png_get_libpng_ver(nullptr)); }

void write_png(const std::string& path, const Image& image) { write(path, image, nullptr); }

void write_palette_png(const std::string& path, const Image& ids, const std::vector<Colour>& palette) {
  write(path, ids, &palette);
}

}  // namespace pixelwise
