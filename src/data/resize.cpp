// Resizing of photos as PIL's BILINEAR does it: a triangle over the pixels of the source.
#include <algorithm>
#include <cmath>

#include "pixelwise/data/augment.hpp"

namespace pixelwise {
namespace {

// The weights, of sum 1, of the source pixels from `first` on that make one pixel of the result.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

// An axis that is resized from one extent to another.
std::vector<Taps> triangles(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to), reach = std::max(step, 1.0);
  std::vector<Taps> list;
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * step;
    const auto begin = std::max<int64_t>(0, std::lround(centre - reach));
    const auto end = std::min<int64_t>(from, std::lround(centre + reach));
    double sum = 0;
    for (int64_t x = begin; x < end; ++x) sum += 1 - std::abs(static_cast<double>(x) + 0.5 - centre) / reach;
    Taps taps{begin, {}};
    for (int64_t x = begin; x < end; ++x)
      taps.weights.push_back(static_cast<float>((1 - std::abs(static_cast<double>(x) + 0.5 - centre) / reach) / sum));
    list.push_back(std::move(taps));
  }
  return list;
}

}  // namespace

Image resize_photo(const Image& photo, Size size) {
  if (photo.size() == size) return photo;
  const size_t row_length = static_cast<size_t>(size.w * photo.channels);
  std::vector<float> narrow(static_cast<size_t>(photo.height) * row_length);  // every row of the source, resized
  const std::vector<Taps> columns = triangles(photo.width, size.w), rows = triangles(photo.height, size.h);
  float* to = narrow.data();
  for (int64_t y = 0; y < photo.height; ++y) {
    for (const Taps& column : columns) {
      for (int64_t c = 0; c < photo.channels; ++c, ++to) {
        const uint8_t* from = photo.at(y, column.first) + c;
        for (const float weight : column.weights) *to += weight * static_cast<float>(*from), from += photo.channels;
      }
    }
  }
  Image result(size.h, size.w, photo.channels);
  std::vector<float> sums(row_length);
  for (int64_t y = 0; y < size.h; ++y) {
    const Taps& row = rows[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), 0.5F);  // rounds
    const float* from = narrow.data() + static_cast<size_t>(row.first) * row_length;
    for (const float weight : row.weights) {
      for (float& sum : sums) sum += weight * *from++;
    }
    std::transform(sums.begin(), sums.end(), result.at(y, 0),
                   [](float sum) { return static_cast<uint8_t>(std::min(sum, 255.0F)); });
  }
  return result;
}

}  // namespace pixelwise
