// What convolution and transposed convolution have in common: a fine map and a coarse one, and weights between them.
#pragma once
#include <string_view>

#include "kernels/plain.hpp"
#include "kernels/vector/moments_plan.hpp"
#include "pixelwise/core/checked.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// Pixel q of the coarse map meets pixels q stride - pad + k dilation of the fine map; weights {coarse, kh, kw, fine /
/// groups}. A convolution reads the fine map and writes the coarse one; a transposed convolution the reverse.
struct Convolution {
  Size kernel, stride, pad, dilation;
  int64_t groups = 1;
  int64_t fine_channels = 0, coarse_channels = 0;
  bool transposed = false;
  Size pooled{0, 0};  ///< the size of a result that is not written, only its max pooling by 2x2 with stride 2
  bool depthwise() const { return groups > 1 && groups == fine_channels && groups == coarse_channels; }
};

/// The textbook lowering (conv2d_im2col.cpp).
Kernel im2col_kernel(const Convolution& conv, const Problem& problem);
/// Minimal filtering, the fastest first: `winograd3`, `winograd4` and `winograd6` of 3x3 kernels by tiles of 3x3, 4x4
/// and 6x6 pixels, `winograd_pairs` of those of a rate of half the map or more, `winograd4x3`, `winograd3x4` and
/// `winograd4x2` of 7x7 kernels by tiles of 4x3, 3x4 and 4x2 (conv2d_winograd.cpp).
Candidates winograd_kernels(const Convolution& conv, const Problem& problem);
/// Are they faster than a plain sum: are there channels enough, and half the multiplications at most?
bool winograd_pays(const Convolution& conv, const Problem& problem);
/// `amx`: products of bf16 parts on the tiles of Intel's AMX, which are emulated below Isa::amx (conv2d_amx.cpp).
Kernel amx_kernel(const Convolution& conv, const Problem& problem);
/// Are they faster than a plain sum, with real tiles: do the channels fill them?
bool amx_pays(const Convolution& conv, const Problem& problem);
/// `strassen`: 1x1 convolutions by seven products of halves instead of eight (conv2d_strassen.cpp).
Kernel strassen_kernel(const Convolution& conv, const Problem& problem);
/// Is it faster than a plain product: are the matrices large enough?
bool strassen_pays(const Convolution& conv, const Problem& problem);
/// Why a kernel for f32 declines; empty: it does not.
std::string declines_types(const Problem& problem);
/// Why a kernel for f32 without groups that does not pool declines.
std::string declines_dense(const Convolution& conv, const Problem& problem);
/// The fast kernels, in order of preference (conv2d_fast.cpp).
Candidates fast_convolution_kernels(const Convolution& conv, const Problem& problem);

/// What segbench --tune wrote (conv2d_table.cpp).
extern const std::string_view convolution_table_text;
/// Puts the kernel that the table names for a convolution first, where there is one (conv2d_measured.cpp).
void prefer_measured(Candidates& candidates, const Conv2dSpec& spec, const Problem& problem);

/// Is the result max pooled on its way out? Why most kernels decline it.
inline bool pools(const Problem& problem) { return problem.pass == Pass::forward && problem.dst.size() > 1; }
inline constexpr const char* declines_pooling = "it does not pool its result";
inline constexpr const char* declines_moments = "it does not take the moments of its result";
/// A kernel's scratch, and behind it room for so many partial sums of its results, where their moments are wanted.
inline MomentsPlan plan_moments(Kernel& kernel, const Problem& problem, int64_t parts) {
  if (!problem.moments) return {};
  MomentsPlan m{parts, round_up(problem.dst[0].shape.c, 64), round_up(kernel.scratch_bytes, 64)};
  kernel.scratch_bytes = m.offset + m.bytes();
  return m;
}

/// Floats in a vector.
constexpr int64_t lanes_of(Isa isa) { return isa >= Isa::avx512 ? 16 : isa == Isa::avx2 ? 8 : 4; }
/// At least so many floats, in an odd number of cache lines: rows that far apart do not meet in the same sets of a
/// cache.
inline int64_t odd_lines(int64_t floats) { return 16 * (ceil_div(floats, 16) | 1); }

/// x as the kernel sees it: act(scale x + shift), 0 outside.
template <class T>
double source_at(const Source& s, int64_t n, int64_t y, int64_t x, int64_t c) {
  if (y < 0 || y >= s.view.shape.h || x < 0 || x >= s.view.shape.w) return 0;
  double value = value_of(s.view.at<T>(n, y, x)[c]);
  if (s.scale) value *= value_of(s.scale.as<T>()[c]);
  if (s.shift) value += value_of(s.shift.as<T>()[c]);
  return activated(value, s.act);
}

/// act(scale value + shift + residual) * act'(gate).
template <class T>
double finished(const Epilogue& e, int64_t n, int64_t y, int64_t x, int64_t c, double value) {
  if (e.scale) value = value * value_of(e.scale.as<T>()[c]) + value_of(e.shift.as<T>()[c]);
  if (e.residual) value += value_of(e.residual.at<T>(n, y, x)[c]);
  value = activated(value, e.act);
  if (e.gate) value *= passes(value_of(e.gate.at<T>(n, y, x)[c]), e.gate_act);
  return value;
}

/// dst = the finished value, written or added.
template <class T>
void leave(const Arguments& a, int64_t n, int64_t y, int64_t x, int64_t c, double value) {
  put(a.dst[0].view.at<T>(n, y, x)[c], finished<T>(a.epilogue, n, y, x, c, value), a.dst[0].mode);
}

/// dst[1] = mean and biased variance of dst[0] per channel, where they are wanted.
template <class T>
void take_moments(const Arguments& a) {
  if (a.dst.size() < 2) return;
  const View& dst = a.dst[0].view;
  const auto count = static_cast<double>(dst.shape.pixels());
  double *means = a.dst[1].view.as<double>(), *variances = means + dst.shape.c;
  for (int64_t c = 0; c < dst.shape.c; ++c) {
    double sum = 0, squares = 0;
    for_each_pixel(dst.shape, [&](int64_t n, int64_t y, int64_t x) { sum += value_of(dst.at<T>(n, y, x)[c]); });
    for_each_pixel(dst.shape, [&](int64_t n, int64_t y, int64_t x) {
      const double centred = value_of(dst.at<T>(n, y, x)[c]) - sum / count;
      squares += centred * centred;
    });
    means[c] = sum / count;
    variances[c] = squares / count;
  }
}

}  // namespace pixelwise
