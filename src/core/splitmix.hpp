// The generator behind Random: splitmix64 (Steele, Lea, Flood 2014), as always-inlined functions that the vector
// kernels may use.
#pragma once
#include <cstdint>

namespace pixelwise::splitmix {

inline constexpr uint64_t golden = 0x9e3779b97f4a7c15;

[[gnu::always_inline]] inline uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Number i of the stream of a key.
[[gnu::always_inline]] inline uint64_t number(uint64_t key, uint64_t i) { return mix(key + (i + 1) * golden); }

}  // namespace pixelwise::splitmix
