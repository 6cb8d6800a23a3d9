// SHA-256 (FIPS 180-4), so that a report can say which file it is about: the same as `sha256sum FILE` prints.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace pixelwise {

class Sha256 {
 public:
  void add(std::span<const std::byte> bytes);
  void add(const std::string& text) { add(std::as_bytes(std::span(text))); }
  /// 64 hexadecimal digits of what was added so far; more may be added afterwards.
  std::string hex() const;

 private:
  void compress(const std::byte* block);

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_{};
  uint64_t bytes_ = 0;
};

/// Of a file's bytes; throws DataError where it cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace pixelwise
