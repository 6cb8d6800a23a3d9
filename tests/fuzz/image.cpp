// An image, read as a photo in colours and in grey, and as a mask. Three targets are made of this file, with different
// seeds: png, jpeg, and image (the formats that stb_image decodes).
#include "pixelwise/io/image.hpp"

#include "fuzz/fuzz.hpp"
#include "support/png.hpp"

using namespace pixelwise;

namespace {

// A PNG with the checksums of its chunks set right: else hardly any mutated one would get past them.
std::string mended(std::string png) {
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(png[at + i]);
    return value;
  };
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t length = number(at), end = at + 8 + length;
    if (end + 4 > png.size()) break;
    png.replace(end, 4, big_endian(crc32(png.substr(at + 4, length + 4))));
    at = end + 4;
  }
  return png;
}

void read(const std::string& bytes) {
  static FileInMemory file;
  file.put(bytes);
  Size size;
  if (!accepted([&] { size = read_image_size(file.path()); })) return;
  const auto check = [&](const Image& image, int64_t channels) {
    require(image.size() == size && image.channels == channels, "an image is as large as its header says");
    require(image.pixels.size() == static_cast<size_t>(size.h * size.w * channels), "all pixels are there");
  };
  for (const int64_t channels : {1, 3}) accepted([&] { check(read_photo(file.path(), channels), channels); });
  accepted([&] { check(read_mask(file.path()), 1); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  if (bytes.starts_with("\x89PNG")) read(mended(bytes));
  return 0;
}
