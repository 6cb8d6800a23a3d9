// PNGs put together by hand: the kinds that our own writer does not write, and broken ones.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pixelwise {

inline std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

// CRC-32 of the PNG specification, appendix D, a bit at a time.
inline uint32_t crc32(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
  }
  return ~crc;
}

inline std::string chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(crc32(type + data));
}

// zlib's format (RFC 1950) with one stored block (RFC 1951, 3.2.4).
inline std::string stored(const std::string& data) {
  const auto size = static_cast<uint16_t>(data.size());
  std::string bytes("\x78\x01\x01", 3);
  for (const uint16_t n : {size, static_cast<uint16_t>(~size)}) {
    bytes += static_cast<char>(n & 255);
    bytes += static_cast<char>(n >> 8);
  }
  uint32_t a = 1, b = 0;
  for (const char byte : data) a = (a + static_cast<uint8_t>(byte)) % 65521, b = (b + a) % 65521;
  return bytes + data + big_endian(b << 16 | a);
}

enum Colours : char { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgba = 6 };

struct Png {
  uint32_t width = 1, height = 1;
  char depth = 8;
  Colours colours = grey;
  std::vector<std::string> rows;
  std::string plte{}, trns{};

  std::string bytes() const {
    std::string data, out = "\x89PNG\r\n\x1a\n";
    for (const std::string& row : rows) data += '\0' + row;  // no filter
    out += chunk("IHDR",
                 big_endian(width) + big_endian(height) + depth + static_cast<char>(colours) + std::string(3, '\0'));
    if (!plte.empty()) out += chunk("PLTE", plte);
    if (!trns.empty()) out += chunk("tRNS", trns);
    return out + chunk("IDAT", stored(data)) + chunk("IEND", "");
  }
};

}  // namespace pixelwise
