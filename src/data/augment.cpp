#include "pixelwise/data/augment.hpp"

#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

uint8_t to_byte(double value) { return static_cast<uint8_t>(std::clamp(std::lround(value), 0L, 255L)); }

// Where a pixel of the result lies between two pixels of the source (half-pixel centres, borders repeated).
struct Between {
  int64_t first = 0, second = 0;
  float weight = 0;  // of the second
};

// Pixels [begin, begin + count) of an axis that is resized from one extent to another.
std::vector<Between> positions(int64_t from, int64_t to, int64_t begin, int64_t count) {
  std::vector<Between> list;
  for (int64_t i = begin; i < begin + count; ++i) {
    const double at =
        std::clamp((static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5, 0.0,
                   static_cast<double>(from - 1));
    const int64_t first = static_cast<int64_t>(at);
    list.push_back({first, std::min(first + 1, from - 1), static_cast<float>(at - static_cast<double>(first))});
  }
  return list;
}

void mirror(Image& image) {
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width / 2; ++x)
      std::swap_ranges(image.at(y, x), image.at(y, x) + image.channels, image.at(y, image.width - 1 - x));
  }
}

// Extends an image right and below by `value` (one a channel).
Image extend(const Image& image, Size size, const std::vector<uint8_t>& value) {
  if (image.size() == size) return image;
  Image result(size.h, size.w, image.channels);
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x) std::copy_n(value.data(), image.channels, result.at(y, x));
    if (y < image.height) std::copy_n(image.at(y, 0), image.width * image.channels, result.at(y, 0));
  }
  return result;
}

double grey_of(const uint8_t* pixel, int64_t channels) {
  return channels == 3 ? 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2] : pixel[0];
}

// As torchvision's ColorJitter: brightness scales, contrast blends with the photo's mean grey, saturation with each
// pixel's grey.
void jitter(Image& photo, double brightness, double contrast, double saturation) {
  if (brightness == 1 && contrast == 1 && saturation == 1) return;
  const int64_t pixels = photo.height * photo.width, channels = photo.channels;
  double mean = 0;
  for (int64_t i = 0; i < pixels; ++i) mean += grey_of(photo.pixels.data() + i * channels, channels);
  mean *= brightness / static_cast<double>(pixels);
  for (int64_t i = 0; i < pixels; ++i) {
    uint8_t* pixel = photo.pixels.data() + i * channels;
    const double grey = mean + contrast * (brightness * grey_of(pixel, channels) - mean);
    for (int64_t c = 0; c < channels; ++c) {
      const double value = mean + contrast * (brightness * pixel[c] - mean);
      pixel[c] = to_byte(grey + saturation * (value - grey));
    }
  }
}

Size scaled(Size size, double factor) {
  return {std::max<int64_t>(1, std::lround(static_cast<double>(size.h) * factor)),
          std::max<int64_t>(1, std::lround(static_cast<double>(size.w) * factor))};
}

int64_t place(double uniform, int64_t extent, int64_t window) {
  return static_cast<int64_t>(uniform * static_cast<double>(extent - window + 1));
}

// The window of a resized image; nothing outside the window is computed.
struct Window {
  int64_t top, left;
  Size size;
};

Image resize_photo(const Image& photo, Size size, const Window& window) {
  if (photo.size() == size) return cut(photo, window.top, window.left, window.size);
  const std::vector<Between> rows = positions(photo.height, size.h, window.top, window.size.h),
                             columns = positions(photo.width, size.w, window.left, window.size.w);
  Image result(window.size.h, window.size.w, photo.channels);
  uint8_t* to = result.pixels.data();
  for (const Between& row : rows) {
    for (const Between& column : columns) {
      const uint8_t *a = photo.at(row.first, column.first), *b = photo.at(row.first, column.second);
      const uint8_t *c = photo.at(row.second, column.first), *d = photo.at(row.second, column.second);
      for (int64_t k = 0; k < photo.channels; ++k) {
        const float above = static_cast<float>(a[k]) + column.weight * static_cast<float>(b[k] - a[k]);
        const float below = static_cast<float>(c[k]) + column.weight * static_cast<float>(d[k] - c[k]);
        *to++ = static_cast<uint8_t>(above + row.weight * (below - above) + 0.5F);
      }
    }
  }
  return result;
}

Image resize_mask(const Image& mask, Size size, const Window& window) {
  if (mask.size() == size) return cut(mask, window.top, window.left, window.size);
  const auto nearest = [](int64_t i, int64_t from, int64_t to) {  // floor((i + 1/2) from / to)
    return (2 * i + 1) * from / (2 * to);
  };
  Image result(window.size.h, window.size.w, 1);
  for (int64_t y = 0; y < window.size.h; ++y) {
    const int64_t row = nearest(window.top + y, mask.height, size.h);
    for (int64_t x = 0; x < window.size.w; ++x)
      *result.at(y, x) = *mask.at(row, nearest(window.left + x, mask.width, size.w));
  }
  return result;
}

template <class T>
void normalise(const Image& photo, const Normalize& normalize, const View& input, int64_t n) {
  const int64_t channels = photo.channels;
  std::vector<T> table(static_cast<size_t>(channels * 256));  // of every channel's 256 values
  for (int64_t i = 0; i < channels * 256; ++i) {
    const size_t c = static_cast<size_t>(i / 256);
    table[static_cast<size_t>(i)] =
        static_cast<T>((static_cast<double>(i % 256) - normalize.mean[c]) / normalize.std[c]);
  }
  for (int64_t y = 0; y < input.shape.h; ++y) {
    for (int64_t x = 0; x < input.shape.w; ++x) {
      T* to = input.at<T>(n, y, x);
      if (y >= photo.height || x >= photo.width) {
        std::fill_n(to, channels, T{0});
        continue;
      }
      const uint8_t* from = photo.at(y, x);
      for (int64_t c = 0; c < channels; ++c) to[c] = table[static_cast<size_t>(c * 256 + from[c])];
    }
  }
}

}  // namespace

Image resize_mask(const Image& mask, Size size) { return resize_mask(mask, size, {0, 0, size}); }

Sample augment(const Sample& sample, const AugmentOptions& options, int64_t ignore_label, const Normalize& normalize,
               Random random) {
  // Every number is drawn, wanted or not: one option never changes what another one draws.
  const double scale = random.next_uniform(options.scale_low, options.scale_high);
  const double down = random.next_uniform(), right = random.next_uniform();
  const bool flip = random.next_uniform() < options.flip;
  const auto factor = [&](double amount) { return random.next_uniform(1 - amount, 1 + amount); };
  const double brightness = factor(options.brightness), contrast = factor(options.contrast);
  const double saturation = factor(options.saturation);

  const Size size = scaled(sample.photo.size(), scale);
  const Size crop = options.crop == Size{0, 0} ? size : options.crop;
  const Size inside{std::min(size.h, crop.h), std::min(size.w, crop.w)};
  const Window window{place(down, size.h, inside.h), place(right, size.w, inside.w), inside};
  Sample result{sample.id, resize_photo(sample.photo, size, window), resize_mask(sample.mask, size, window)};
  jitter(result.photo, brightness, contrast, saturation);
  if (flip) mirror(result.photo), mirror(result.mask);
  std::vector<uint8_t> mean;
  for (const double value : normalize.mean) mean.push_back(to_byte(value));
  mean.resize(std::max<size_t>(mean.size(), static_cast<size_t>(result.photo.channels)), 0);
  result.photo = extend(result.photo, crop, mean);
  result.mask = extend(result.mask, crop, {static_cast<uint8_t>(ignore_label)});
  return result;
}

void write_input(const Image& photo, const Normalize& normalize, const View& input, int64_t n) {
  const size_t channels = static_cast<size_t>(photo.channels);
  if (photo.channels != input.shape.c || photo.height > input.shape.h || photo.width > input.shape.w)
    throw UsageError(format("a photo of {} with {} channels does not fit the input {}", to_string(photo.size()),
                            photo.channels, to_string(input.shape)));
  if (normalize.mean.size() < channels || normalize.std.size() < channels)
    throw UsageError(format("model.normalize has {} means and {} deviations for {} channels", normalize.mean.size(),
                            normalize.std.size(), channels));
  if (input.type == Type::f64) return normalise<double>(photo, normalize, input, n);
  normalise<float>(photo, normalize, input, n);
}

void write_labels(const Image& mask, int64_t ignore_label, const View& labels, int64_t n) {
  if (mask.height > labels.shape.h || mask.width > labels.shape.w)
    throw UsageError(
        format("a mask of {} does not fit the labels {}", to_string(mask.size()), to_string(labels.shape)));
  for (int64_t y = 0; y < labels.shape.h; ++y) {
    for (int64_t x = 0; x < labels.shape.w; ++x)
      *labels.at<uint8_t>(n, y, x) =
          y < mask.height && x < mask.width ? *mask.at(y, x) : static_cast<uint8_t>(ignore_label);
  }
}

}  // namespace pixelwise
