// Vectors of floats and doubles for the kernels that are compiled once per instruction set. GCC's and Clang's vector
// types give the arithmetic (+ - * / and comparisons work on whole vectors); this file adds loads, stores, masked
// tails, fma and reductions. Everything is always_inline and lives in a namespace named after the instruction set, so
// that nothing compiled here can be linked into code for another one.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

#if PIXELWISE_ISA_LEVEL > 0
#include <immintrin.h>
#endif

namespace pixelwise::PIXELWISE_ISA {

#if PIXELWISE_ISA_LEVEL == 2
inline constexpr int vector_bytes = 64;
#elif PIXELWISE_ISA_LEVEL == 1
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

typedef float vfloat __attribute__((vector_size(vector_bytes)));
typedef float vhalf __attribute__((vector_size(vector_bytes / 2)));
typedef double vdouble __attribute__((vector_size(vector_bytes)));
typedef int32_t vint __attribute__((vector_size(vector_bytes)));
inline constexpr int lanes = vector_bytes / 4;  ///< floats in a vector

[[gnu::always_inline]] inline vfloat load(const float* p) {
  vfloat v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
/// As load, for a vector that several operations use: GCC would load it again for each of them, where a load is an
/// operand of the instruction.
[[gnu::always_inline]] inline vfloat load_once(const float* p) {
  vfloat v = load(p);
#if PIXELWISE_ISA_LEVEL == 2
  asm("" : "+v"(v));
#elif PIXELWISE_ISA_LEVEL == 1
  asm("" : "+x"(v));
#endif
  return v;
}
[[gnu::always_inline]] inline void store(float* p, vfloat v) { std::memcpy(p, &v, sizeof v); }
/// As store, past the caches: the line is not read from memory first. p is aligned to a vector. (Other threads see it
/// after the end of the parallel_for.)
[[gnu::always_inline]] inline void stream(float* p, vfloat v) {
#if PIXELWISE_ISA_LEVEL == 2
  _mm512_stream_ps(p, reinterpret_cast<__m512>(v));
#elif PIXELWISE_ISA_LEVEL == 1
  _mm256_stream_ps(p, reinterpret_cast<__m256>(v));
#else
  store(p, v);
#endif
}
[[gnu::always_inline]] inline vfloat broadcast(float x) { return x - vfloat{}; }
[[gnu::always_inline]] inline vfloat zero() { return vfloat{}; }
/// a * b + c; one rounding where the instruction set has it.
[[gnu::always_inline]] inline vfloat fma(vfloat a, vfloat b, vfloat c) { return a * b + c; }
/// The first half of the lanes: half the work, where the processor's units are half as wide as its vectors.
[[gnu::always_inline]] inline vhalf lower(vfloat v) {
  return [&]<int... i>(std::integer_sequence<int, i...>) { return __builtin_shufflevector(v, v, i...); }
  (std::make_integer_sequence<int, lanes / 2>());
}
/// Zeros in the second half.
[[gnu::always_inline]] inline vfloat widen(vhalf v) {
  return [&]<int... i>(std::integer_sequence<int, i...>) { return __builtin_shufflevector(v, vhalf{}, i...); }
  (std::make_integer_sequence<int, lanes>());
}
[[gnu::always_inline]] inline vfloat max(vfloat a, vfloat b) { return a > b ? a : b; }
[[gnu::always_inline]] inline vfloat min(vfloat a, vfloat b) { return a < b ? a : b; }

/// The first n lanes (0 <= n <= lanes) from memory, the others 0; reads nothing past them.
[[gnu::always_inline]] inline vfloat load_tail(const float* p, int64_t n) {
#if PIXELWISE_ISA_LEVEL == 2
  return reinterpret_cast<vfloat>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p));
#elif PIXELWISE_ISA_LEVEL == 1
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return reinterpret_cast<vfloat>(
      _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane)));
#else
  vfloat v{};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
/// Stores the first n lanes; writes nothing past them.
[[gnu::always_inline]] inline void store_tail(float* p, vfloat v, int64_t n) {
#if PIXELWISE_ISA_LEVEL == 2
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), reinterpret_cast<__m512>(v));
#elif PIXELWISE_ISA_LEVEL == 1
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane), reinterpret_cast<__m256>(v));
#else
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
#endif
}

/// The lane of a, or lanes + that of b, which `exchange` puts into lane i.
constexpr int exchanged(int i, int step, bool second) {
  return i & step ? i + lanes - (second ? 0 : step) : i + (second ? step : 0);
}
/// Transposes 2x2 blocks of `step` lanes; the first or the second row of the result.
template <int step, bool second, int... i>
[[gnu::always_inline]] inline vfloat exchange(vfloat a, vfloat b, std::integer_sequence<int, i...>) {
#ifdef __clang__
  return __builtin_shufflevector(a, b, exchanged(i, step, second)...);
#else
  return __builtin_shuffle(a, b, vint{exchanged(i, step, second)...});
#endif
}
/// v[i][j] becomes v[j][i]: 2x2 blocks of 1, 2, 4, ... lanes are transposed in turn.
template <int step = 1>
[[gnu::always_inline]] inline void transpose(vfloat (&v)[lanes]) {
  if constexpr (step < lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if (i & step) continue;
      const vfloat a = v[i], b = v[i | step];
      v[i] = exchange<step, false>(a, b, std::make_integer_sequence<int, lanes>());
      v[i | step] = exchange<step, true>(a, b, std::make_integer_sequence<int, lanes>());
    }
    transpose<2 * step>(v);
  }
}

/// e^x to two units in the last place, for x <= 88; 0 below -87.3, where results would be denormal; NaN stays NaN.
/// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by the polynomial of the Cephes library (Moshier 1989); 2^n by its bits.
[[gnu::always_inline]] inline vfloat exp(vfloat x) {
  const vfloat least = broadcast(-87.3f), magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds
  const vfloat clamped = x < least ? least : x;
  const vfloat n = (clamped * 1.44269504088896341f + magic) - magic;
  const vfloat r = clamped - n * 0.693359375f - n * -2.12194440e-4f;
  constexpr float coefficients[] = {1.9875691500e-4f,
                                    1.3981999507e-3f,
                                    8.3334519073e-3f,
                                    4.1665795894e-2f,
                                    1.6666665459e-1f,
                                    5.0000001201e-1f,
                                    1.0f,
                                    1.0f};
  vfloat p = zero();
  for (const float coefficient : coefficients) p = p * r + coefficient;
  const vint power = (__builtin_convertvector(n, vint) + 127) << 23;
  return x < least ? zero() : p * reinterpret_cast<vfloat>(power);
}

/// Sum of the lanes, always in the same order.
[[gnu::always_inline]] inline float reduce_add(vfloat v) {
  float sum = 0;
  for (int i = 0; i < lanes; ++i) sum += v[i];
  return sum;
}
[[gnu::always_inline]] inline float reduce_max(vfloat v) {
  float best = v[0];
  for (int i = 1; i < lanes; ++i) best = v[i] > best ? v[i] : best;
  return best;
}

}  // namespace pixelwise::PIXELWISE_ISA
