#include "pixelwise/core/rng.hpp"

#include <cmath>
#include <numbers>

#include "core/splitmix.hpp"

namespace pixelwise {
namespace {

using splitmix::mix;

uint64_t hash(std::string_view text) {  // FNV-1a, 64 bits
  uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return h;
}

}  // namespace

Random::Random(uint64_t seed, std::string_view purpose, uint64_t epoch, uint64_t step, uint64_t sample)
    : key_(mix(mix(mix(mix(mix(seed + splitmix::golden) ^ hash(purpose)) + epoch) + step) + sample)) {}

uint64_t Random::bits(uint64_t i) const { return splitmix::number(key_, i); }

double Random::uniform(uint64_t i) const { return static_cast<double>(bits(i) >> 11) * 0x1p-53; }

double Random::normal(uint64_t i) const {
  const double u = 1.0 - uniform(2 * i);  // (0, 1]
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform(2 * i + 1));
}

uint64_t Random::below(uint64_t i, uint64_t bound) const {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits(i)) * bound) >> 64);
}

}  // namespace pixelwise
