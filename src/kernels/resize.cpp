// Nearest and bilinear resizing with PyTorch's conventions: the definition and the selection.
#include "pixelwise/kernels/resize.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/blend.hpp"
#include "kernels/plain.hpp"

namespace pixelwise {

Blend blend_of(const ResizeSpec& s, int64_t i, int64_t from, int64_t to) {
  if (s.interpolation == Interpolation::nearest) {  // in float, as PyTorch: next to whole numbers its floor is lower
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    const int64_t at = std::min(static_cast<int64_t>(static_cast<float>(i) * scale), from - 1);
    return {at, at, 0};
  }
  double at = 0;
  if (s.align_corners) {
    at = to > 1 ? static_cast<double>(i) * static_cast<double>(from - 1) / static_cast<double>(to - 1) : 0;
  } else {  // centres at half pixels, clamped below
    at = std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
  }
  const int64_t low = std::min(static_cast<int64_t>(at), from - 1);
  return {low, std::min(low + 1, from - 1), at - static_cast<double>(low)};
}

std::vector<Blend> blends_of(const ResizeSpec& spec, int64_t from, int64_t to) {
  std::vector<Blend> blends;
  for (int64_t i = 0; i < to; ++i) blends.push_back(blend_of(spec, i, from, to));
  return blends;
}

namespace {

// fn(n, y, x of the large map, four places of the small map and their shares)
template <class Fn>
void for_each_blend(const ResizeSpec& s, const Shape& src, const Shape& dst, const Fn& fn) {
  for_each_pixel(dst, [&](int64_t n, int64_t y, int64_t x) {
    const Blend v = blend_of(s, y, src.h, dst.h), h = blend_of(s, x, src.w, dst.w);
    fn(n, y, x, v, h);
  });
}

template <class T>
void resize(const ResizeSpec& s, const Arguments& a) {
  const View &src = a.src[0].view, &dst = a.dst[0].view;
  for_each_blend(s, src.shape, dst.shape, [&](int64_t n, int64_t y, int64_t x, Blend v, Blend h) {
    for (int64_t c = 0; c < dst.shape.c; ++c) {
      const auto at = [&](int64_t sy, int64_t sx) { return value_of(src.at<T>(n, sy, sx)[c]); };
      const double top = (1 - h.share) * at(v.low, h.low) + h.share * at(v.low, h.high);
      const double bottom = (1 - h.share) * at(v.high, h.low) + h.share * at(v.high, h.high);
      put(dst.at<T>(n, y, x)[c], (1 - v.share) * top + v.share * bottom, a.dst[0].mode);
    }
  });
}

// Nearest on integers copies.
template <>
void resize<uint8_t>(const ResizeSpec& s, const Arguments& a) {
  const View &src = a.src[0].view, &dst = a.dst[0].view;
  for_each_blend(s, src.shape, dst.shape, [&](int64_t n, int64_t y, int64_t x, Blend v, Blend h) {
    std::copy_n(src.at<uint8_t>(n, v.low, h.low), dst.shape.c, dst.at<uint8_t>(n, y, x));
  });
}

template <class T>
void resize_backward(const ResizeSpec& s, const Arguments& a) {
  const View &diff_dst = a.src[0].view, &diff_src = a.dst[0].view;
  clear<T>(a.dst[0]);
  for_each_blend(s, diff_src.shape, diff_dst.shape, [&](int64_t n, int64_t y, int64_t x, Blend v, Blend h) {
    for (int64_t c = 0; c < diff_dst.shape.c; ++c) {
      const double g = value_of(diff_dst.at<T>(n, y, x)[c]);
      const auto give = [&](int64_t sy, int64_t sx, double share) {
        put(diff_src.at<T>(n, sy, sx)[c], g * share, Mode::add);
      };
      give(v.low, h.low, (1 - v.share) * (1 - h.share));
      give(v.low, h.high, (1 - v.share) * h.share);
      give(v.high, h.low, v.share * (1 - h.share));
      give(v.high, h.high, v.share * h.share);
    }
  });
}

Kernel vector_kernel(const ResizeSpec& spec, const Problem& problem) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) {
    kernel.declined = "it is for f32";
    return kernel;
  }
  const bool forward = problem.pass == Pass::forward;
  const Shape src = (forward ? problem.src : problem.dst)[0].shape,
              dst = (forward ? problem.dst : problem.src)[0].shape;
  const std::vector<Blend> rows = blends_of(spec, src.h, dst.h), columns = blends_of(spec, src.w, dst.w);
  std::vector<Readers> row_readers(static_cast<size_t>(src.h), Readers{dst.h, 0});
  for (int64_t i = 0; i < dst.h; ++i) {
    for (const int64_t at : {rows[static_cast<size_t>(i)].low, rows[static_cast<size_t>(i)].high}) {
      Readers& readers = row_readers[static_cast<size_t>(at)];
      readers = {std::min(readers.first, i), std::max(readers.last, i + 1)};
    }
  }
  const auto run = resize_entries(problem.isa).*(forward ? &ResizeEntries::forward : &ResizeEntries::backward);
  kernel.run = [rows, columns, row_readers, run](const Arguments& a) {
    run({rows.data(), columns.data(), row_readers.data()}, a);
  };
  return kernel;
}

}  // namespace

Candidates resize_kernels(const ResizeSpec& spec, const Problem& problem) {
  if (problem.src[0].type == Type::u8 && spec.interpolation == Interpolation::nearest && problem.pass == Pass::forward)
    return {definition_for<uint8_t>(Type::u8, [spec]<class T>(const Arguments& a) { resize<T>(spec, a); })};
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel(spec, problem),
          definition_for<double, float>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
            forward ? resize<T>(spec, a) : resize_backward<T>(spec, a);
          })};
}

}  // namespace pixelwise
