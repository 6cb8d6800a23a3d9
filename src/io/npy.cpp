#include "pixelwise/io/npy.hpp"

#include <bit>
#include <stdexcept>

#include "pixelwise/core/checked.hpp"
#include "pixelwise/io/files.hpp"

namespace pixelwise {

void write_npy(const std::string& path, std::span<const float> values, const std::vector<int64_t>& shape) {
  static_assert(std::endian::native == std::endian::little);
  std::string extents;
  int64_t count = 1;
  for (const int64_t extent : shape) {
    extents += std::to_string(extent) + ", ";
    count = checked_mul(count, extent);
  }
  if (count != static_cast<int64_t>(values.size())) throw std::invalid_argument("write_npy: the shape does not fit");

  // Magic string, version, u16 length of the rest of the header, which ends with a line feed at a multiple of 64.
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + "), }";
  constexpr int64_t before = 10;
  header.resize(static_cast<size_t>(round_up(before + static_cast<int64_t>(header.size()) + 1, 64) - before - 1), ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(length & 255);
  start += static_cast<char>(length >> 8);

  write_file(path, [&](const Sink& sink) {
    sink(std::as_bytes(std::span(start)));
    sink(std::as_bytes(std::span(header)));
    sink(std::as_bytes(values));
  });
}

}  // namespace pixelwise
