// NumPy's array files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), format 1.0.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pixelwise {

/// Writes little-endian float32 values in C order, atomically; numpy.load(path) reads them.
void write_npy(const std::string& path, std::span<const float> values, const std::vector<int64_t>& shape);

}  // namespace pixelwise
