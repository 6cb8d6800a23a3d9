// Floats as sums of two bf16: x = high + low. A bf16 is the upper half of a float: its sign, its exponent and 7 of its
// 23 bits of fraction. high is the bf16 nearest to x, low the bf16 nearest to the rest: |x - high| <= 2^-8 |x| and |x -
// high - low| <= 2^-17 |x|, as long as low is not so small that bf16 ends (|x| > 2^-110).
#pragma once
#include "core/simd.hpp"

namespace pixelwise::PIXELWISE_ISA {

using bf16 = uint16_t;
typedef uint32_t vuint __attribute__((vector_size(vector_bytes)));
typedef bf16 vbf16 __attribute__((vector_size(vector_bytes / 2)));

/// The bits of two vectors of bf16, each in the upper half of a float.
struct Split {
  vuint high, low;
};

/// The nearest bf16, the even one of two; NaN stays NaN.
[[gnu::always_inline]] inline vuint nearest_bf16(vfloat x) {
  const vuint bits = reinterpret_cast<vuint>(x);
  const vuint rounded = bits + 0x7fff + ((bits >> 16) & 1), quiet = bits | 0x400000;
  return (x == x ? rounded : quiet) & 0xffff0000;
}
[[gnu::always_inline]] inline Split split(vfloat x) {
  const vuint high = nearest_bf16(x);
  return {high, nearest_bf16(x - reinterpret_cast<vfloat>(high))};
}

[[gnu::always_inline]] inline void store_bf16(bf16* p, vuint bits) {
  const vbf16 halves = __builtin_convertvector(bits >> 16, vbf16);
  std::memcpy(p, &halves, sizeof halves);
}
/// The first n of them.
[[gnu::always_inline]] inline void store_some_bf16(bf16* p, vuint bits, int64_t n) {
  const vbf16 halves = __builtin_convertvector(bits >> 16, vbf16);
  std::memcpy(p, &halves, static_cast<size_t>(n < lanes ? n : lanes) * sizeof(bf16));
}
/// Both parts, as store_bf16 of split() does it. (The instruction takes what is smaller than the least normal float for
/// 0, as TDPBF16PS does.)
[[gnu::always_inline]] inline void store_split(bf16* high, bf16* low, vfloat x) {
#ifdef __AVX512BF16__
  const auto nearest = [](vfloat v) {
    const auto halves = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
    vbf16 bits;
    std::memcpy(&bits, &halves, sizeof bits);
    return bits;
  };
  const vbf16 upper = nearest(x);
  const vbf16 rest = nearest(x - reinterpret_cast<vfloat>(__builtin_convertvector(upper, vuint) << 16));
  std::memcpy(high, &upper, sizeof upper);
  std::memcpy(low, &rest, sizeof rest);
#else
  const Split parts = split(x);
  store_bf16(high, parts.high);
  store_bf16(low, parts.low);
#endif
}
/// even[0], odd[0], even[1], odd[1], ...
[[gnu::always_inline]] inline void store_pairs(bf16* p, vuint even, vuint odd) {
  const vuint pairs = (even >> 16) | odd;
  std::memcpy(p, &pairs, sizeof pairs);
}

}  // namespace pixelwise::PIXELWISE_ISA
