#include "pixelwise/core/checked.hpp"

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

int64_t checked_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum)) throw DataError(format("size overflow: {} + {}", a, b));
  return sum;
}

int64_t checked_mul(int64_t a, int64_t b) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) throw DataError(format("size overflow: {} * {}", a, b));
  return product;
}

}  // namespace pixelwise
