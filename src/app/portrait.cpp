#include "app/portrait.hpp"

#include <array>
#include <cmath>

#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

constexpr double full = 65535;  // linear light and weights are 16-bit numbers: sums of them are exact

// IEC 61966-2-1 (sRGB).
double linear_of(double encoded) {
  return encoded <= 0.04045 ? encoded / 12.92 : std::pow((encoded + 0.055) / 1.055, 2.4);
}
double encoded_of(double linear) {
  return linear <= 0.0031308 ? linear * 12.92 : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
}

const std::array<uint16_t, 256>& linear_table() {
  static const auto table = [] {
    std::array<uint16_t, 256> values{};
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<uint16_t>(std::lround(linear_of(static_cast<double>(i) / 255) * full));
    return values;
  }();
  return table;
}

const std::vector<uint8_t>& encoded_table() {
  static const auto table = [] {
    std::vector<uint8_t> values(static_cast<size_t>(full) + 1);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<uint8_t>(std::lround(encoded_of(static_cast<double>(i) / full) * 255));
    return values;
  }();
  return table;
}

// The distance of every pixel to the nearest one of the mask, in pixels, within 8 percent (Borgefors 1986: two sweeps
// with steps of 3 and 4 thirds).
Plane distance_to(const Plane& mask) {
  const Size size = mask.size;
  Plane distance(size, 1e9F);
  for (size_t i = 0; i < mask.values.size(); ++i) {
    if (mask.values[i] > 0.5F) distance.values[i] = 0;
  }
  const auto sweep = [&](int64_t y, int64_t x, int64_t direction) {
    const auto through = [&](int64_t ny, int64_t nx, float step) {
      if (ny >= 0 && ny < size.h && nx >= 0 && nx < size.w)
        distance.at(y, x) = std::min(distance.at(y, x), distance.at(ny, nx) + step);
    };
    through(y, x + direction, 1);
    through(y + direction, x, 1);
    through(y + direction, x - 1, 4.F / 3);
    through(y + direction, x + 1, 4.F / 3);
  };
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x) sweep(y, x, -1);
  }
  for (int64_t y = size.h - 1; y >= 0; --y) {
    for (int64_t x = size.w - 1; x >= 0; --x) sweep(y, x, 1);
  }
  return distance;
}

// The background before and after blurring: red, green, blue, each times the weight, and the weight.
using Pixel = std::array<uint32_t, 4>;

// Sums of the pixels left of each column, of every row: modulo 2^32, so that differences are exact.
class RowSums {
 public:
  RowSums(const Image& photo, const Plane& weights)
      : size_(photo.size()), sums_(static_cast<size_t>(size_.h * (size_.w + 1))) {
    parallel_for(size_.h, [&](int64_t y, int) {
      Pixel sum{};
      for (int64_t x = 0; x < size_.w; ++x) {
        const auto weight = static_cast<double>(weights.at(y, x));
        for (size_t c = 0; c < 3; ++c)
          sum[c] += static_cast<uint32_t>(std::lround(linear_table()[photo.at(y, x)[c]] * weight));
        sum[3] += static_cast<uint32_t>(std::lround(full * weight));
        at(y, x + 1) = sum;
      }
    });
  }

  // Adds the disc around (y, x) to a sum.
  std::array<double, 4> disc(int64_t y, int64_t x, const std::vector<int64_t>& half_widths) const {
    const auto radius = static_cast<int64_t>(half_widths.size()) - 1;
    std::array<double, 4> sum{};
    for (int64_t row = std::max<int64_t>(y - radius, 0); row <= std::min(y + radius, size_.h - 1); ++row) {
      const int64_t half = half_widths[static_cast<size_t>(std::abs(row - y))];
      const Pixel &left = at(row, std::max<int64_t>(x - half, 0)), &right = at(row, std::min(x + half + 1, size_.w));
      for (size_t c = 0; c < 4; ++c) sum[c] += static_cast<double>(right[c] - left[c]);
    }
    return sum;
  }

 private:
  Pixel& at(int64_t y, int64_t x) { return sums_[static_cast<size_t>(y * (size_.w + 1) + x)]; }
  const Pixel& at(int64_t y, int64_t x) const { return sums_[static_cast<size_t>(y * (size_.w + 1) + x)]; }

  Size size_;
  std::vector<Pixel> sums_;
};

// Half widths of the rows of a disc, from its middle row outwards.
std::vector<int64_t> disc_rows(int64_t radius) {
  const double r = static_cast<double>(radius) + 0.3;
  std::vector<int64_t> half_widths;
  for (int64_t dy = 0; dy <= radius; ++dy)
    half_widths.push_back(static_cast<int64_t>(std::sqrt(r * r - static_cast<double>(dy * dy))));
  return half_widths;
}

float smooth_step(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.F, 1.F);
  return t * t * (3 - 2 * t);
}

}  // namespace

Image shrink(const Image& photo, int64_t factor) {
  if (factor == 1) return photo;
  Image result((photo.height + factor - 1) / factor, (photo.width + factor - 1) / factor, photo.channels);
  for (int64_t y = 0; y < result.height; ++y) {
    for (int64_t x = 0; x < result.width; ++x) {
      const int64_t bottom = std::min((y + 1) * factor, photo.height), right = std::min((x + 1) * factor, photo.width);
      const int64_t count = (bottom - y * factor) * (right - x * factor);
      for (int64_t c = 0; c < photo.channels; ++c) {
        int64_t sum = count / 2;
        for (int64_t v = y * factor; v < bottom; ++v) {
          for (int64_t u = x * factor; u < right; ++u) sum += photo.at(v, u)[c];
        }
        result.at(y, x)[c] = static_cast<uint8_t>(sum / count);
      }
    }
  }
  return result;
}

Plane defocus(const Plane& mask) {
  const Size size = mask.size;
  const auto height = static_cast<float>(size.h), diagonal = std::hypot(height, static_cast<float>(size.w));
  int64_t lowest = 0;
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x) {
      if (mask.at(y, x) > 0.5F) lowest = y;
    }
  }
  const bool cut_off = lowest >= size.h - 1 - size.h / 50;
  const float feet = cut_off ? 1.5F * height : static_cast<float>(lowest);
  Plane result = distance_to(mask);
  for (int64_t y = 0; y < size.h; ++y) {
    const float behind = (feet - static_cast<float>(y)) / (height / 2);
    for (int64_t x = 0; x < size.w; ++x) {
      const float aside = result.at(y, x) / (diagonal / 2);
      result.at(y, x) = std::clamp(std::max(behind, aside), 0.F, 1.F);
    }
  }
  return result;
}

Image blur_background(const Image& photo, const Plane& mask, const Plane& defocus, int64_t factor,
                      double largest_radius) {
  Plane weights(photo.size());  // only what is background for certain lends its colour
  for (size_t i = 0; i < weights.values.size(); ++i) weights.values[i] = 1 - smooth_step(0, 0.5F, mask.values[i]);
  const RowSums sums(photo, weights);
  const auto largest = static_cast<int64_t>(std::ceil(largest_radius));
  std::vector<std::vector<int64_t>> discs;
  for (int64_t radius = 0; radius <= largest; ++radius) discs.push_back(disc_rows(radius));

  Image result(photo.height, photo.width, 3);
  parallel_for(photo.height, [&](int64_t y, int) {
    for (int64_t x = 0; x < photo.width; ++x) {
      const double own = std::clamp(double{mask.at(y, x)}, 0.0, 1.0);
      const double radius = std::min(double{defocus.enlarged(y, x, factor)} * largest_radius, largest_radius);
      // Between two discs of whole radii. Near the subject's middle there is no background, and none is seen.
      const auto inner = static_cast<int64_t>(radius);
      const int64_t outer = std::min(inner + 1, largest);
      const double towards_outer = radius - static_cast<double>(inner);
      std::array<double, 4> blurred{};
      if (own < 1) {
        const auto a = sums.disc(y, x, discs[static_cast<size_t>(inner)]);
        const auto b = sums.disc(y, x, discs[static_cast<size_t>(outer)]);
        const auto area = [&](int64_t r) { return 1 + 3.1416 * static_cast<double>(r * r); };
        for (size_t c = 0; c < 4; ++c)
          blurred[c] = a[c] / area(inner) * (1 - towards_outer) + b[c] / area(outer) * towards_outer;
      }
      for (size_t c = 0; c < 3; ++c) {
        const double sharp = linear_table()[photo.at(y, x)[c]];
        const double behind = blurred[3] > 0 ? std::min(blurred[c] / blurred[3], 1.0) * full : sharp;
        result.at(y, x)[c] = encoded_table()[static_cast<size_t>(own * sharp + (1 - own) * behind + 0.5)];
      }
    }
  });
  return result;
}

}  // namespace pixelwise
