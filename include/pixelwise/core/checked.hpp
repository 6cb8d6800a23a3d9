// Arithmetic on sizes that come from files and configurations: throws instead of wrapping around.
#pragma once
#include <cstdint>

namespace pixelwise {

int64_t checked_add(int64_t a, int64_t b);  ///< throws DataError on overflow or a negative operand
int64_t checked_mul(int64_t a, int64_t b);  ///< throws DataError on overflow or a negative operand

/// ceil(a / b) for a >= 0, b > 0.
[[gnu::always_inline]] inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// The smallest multiple of `unit` that is >= a.
[[gnu::always_inline]] inline int64_t round_up(int64_t a, int64_t unit) { return ceil_div(a, unit) * unit; }

}  // namespace pixelwise
