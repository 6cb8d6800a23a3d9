// Counter-based random numbers: number i of a stream is a pure function of (key, i), so that no generator state has
// to be saved, and results do not depend on threads or on what else was drawn.
#pragma once
#include <cstdint>
#include <string_view>

namespace pixelwise {

/// splitmix64's finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), applied to
/// key + (i + 1) * golden. tests/fixtures/oracle has the same generator in Python.
class Random {
 public:
  explicit Random(uint64_t key) : key_(key) {}
  /// A stream of its own for every (seed, purpose, epoch, step, sample).
  Random(uint64_t seed, std::string_view purpose, uint64_t epoch = 0, uint64_t step = 0, uint64_t sample = 0);

  uint64_t key() const { return key_; }
  uint64_t bits(uint64_t i) const;                   ///< 64 random bits, number i
  double uniform(uint64_t i) const;                  ///< in [0, 1), 53 bits
  double normal(uint64_t i) const;                   ///< mean 0, variance 1 (Box-Muller on numbers 2i and 2i + 1)
  uint64_t below(uint64_t i, uint64_t bound) const;  ///< in [0, bound), bound > 0

  // The same, taking the numbers in order.
  uint64_t next_bits() { return bits(counter_++); }
  double next_uniform() { return uniform(counter_++); }
  double next_uniform(double low, double high) { return low + (high - low) * next_uniform(); }
  uint64_t next_below(uint64_t bound) { return below(counter_++, bound); }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace pixelwise
