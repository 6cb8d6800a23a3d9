#include "app/guided_filter.hpp"

#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

using Map = std::vector<double>;

// Sums along a line of `count` values, `step` apart, over windows cut at the ends; by a running sum.
void sum_line(const double* from, double* to, int64_t count, int64_t step, int64_t radius) {
  double sum = 0;
  for (int64_t i = 0; i < std::min(radius, count); ++i) sum += from[i * step];
  for (int64_t i = 0; i < count; ++i) {
    if (i + radius < count) sum += from[(i + radius) * step];
    to[i * step] = sum;
    if (i - radius >= 0) sum -= from[(i - radius) * step];
  }
}

int64_t covered(int64_t i, int64_t extent, int64_t radius) {
  return std::min(i + radius, extent - 1) - std::max<int64_t>(i - radius, 0) + 1;
}

// The mean over each pixel's window.
Map box_mean(const Map& map, Size size, int64_t radius) {
  Map rows(map.size()), mean(map.size());
  for (int64_t y = 0; y < size.h; ++y) sum_line(map.data() + y * size.w, rows.data() + y * size.w, size.w, 1, radius);
  for (int64_t x = 0; x < size.w; ++x) sum_line(rows.data() + x, mean.data() + x, size.h, size.w, radius);
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x)
      mean[static_cast<size_t>(y * size.w + x)] /=
          static_cast<double>(covered(y, size.h, radius) * covered(x, size.w, radius));
  }
  return mean;
}

Map product(const Map& a, const Map& b) {
  Map result(a.size());
  for (size_t i = 0; i < a.size(); ++i) result[i] = a[i] * b[i];
  return result;
}

// Solves A x = b for a symmetric positive definite A = {rr, rg, rb, gg, gb, bb}, by its adjugate.
std::array<double, 3> solve(const std::array<double, 6>& a, const std::array<double, 3>& b) {
  const auto [rr, rg, rb, gg, gb, bb] = a;
  const double c0 = gg * bb - gb * gb, c1 = rb * gb - rg * bb, c2 = rg * gb - rb * gg;
  const double c3 = rr * bb - rb * rb, c4 = rg * rb - rr * gb, c5 = rr * gg - rg * rg;
  const double determinant = rr * c0 + rg * c1 + rb * c2;
  return {(c0 * b[0] + c1 * b[1] + c2 * b[2]) / determinant, (c1 * b[0] + c3 * b[1] + c4 * b[2]) / determinant,
          (c2 * b[0] + c4 * b[1] + c5 * b[2]) / determinant};
}

std::array<Map, 3> colours_of(const Image& photo) {
  std::array<Map, 3> colours;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = c; i < photo.pixels.size(); i += 3) colours[c].push_back(photo.pixels[i] / 255.0);
  }
  return colours;
}

}  // namespace

GuidedMask guided_filter(const Image& photo, const Plane& mask, int64_t radius, double epsilon) {
  const Size size = mask.size;
  const Map p(mask.values.begin(), mask.values.end());
  const std::array<Map, 3> colours = colours_of(photo);
  const auto mean = [&](const Map& map) { return box_mean(map, size, radius); };
  const Map mean_p = mean(p);
  std::array<Map, 3> means, with_mask;
  std::array<Map, 6> products;  // the upper triangle of colour x colour
  for (size_t i = 0, k = 0; i < 3; ++i) {
    means[i] = mean(colours[i]);
    with_mask[i] = mean(product(colours[i], p));
    for (size_t j = i; j < 3; ++j) products[k++] = mean(product(colours[i], colours[j]));
  }

  std::array<Map, 4> coefficients;
  for (Map& map : coefficients) map.resize(p.size());
  for (size_t at = 0; at < p.size(); ++at) {
    std::array<double, 6> covariance{};
    std::array<double, 3> with_p{};
    for (size_t i = 0, k = 0; i < 3; ++i) {
      with_p[i] = with_mask[i][at] - means[i][at] * mean_p[at];
      for (size_t j = i; j < 3; ++j, ++k)
        covariance[k] = products[k][at] - means[i][at] * means[j][at] + (i == j ? epsilon : 0);
    }
    const std::array<double, 3> factors = solve(covariance, with_p);
    double rest = mean_p[at];
    for (size_t i = 0; i < 3; ++i) {
      coefficients[i][at] = factors[i];
      rest -= factors[i] * means[i][at];
    }
    coefficients[3][at] = rest;
  }
  GuidedMask result;
  for (size_t i = 0; i < 4; ++i) {
    const Map averaged = mean(coefficients[i]);
    result.coefficients[i] = Plane(size);
    std::copy(averaged.begin(), averaged.end(), result.coefficients[i].values.begin());
  }
  return result;
}

Plane GuidedMask::on(const Image& photo, int64_t factor) const {
  Plane mask(photo.size());
  parallel_for(photo.height, [&](int64_t y, int) {
    for (int64_t x = 0; x < photo.width; ++x) {
      float value = coefficients[3].enlarged(y, x, factor);
      for (int64_t c = 0; c < 3; ++c)
        value += coefficients[static_cast<size_t>(c)].enlarged(y, x, factor) * (photo.at(y, x)[c] / 255.F);
      mask.at(y, x) = value;
    }
  });
  return mask;
}

}  // namespace pixelwise
