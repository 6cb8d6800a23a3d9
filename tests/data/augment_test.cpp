#include "pixelwise/data/augment.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

// Pixel (y, x) of the photo is {10 y + x, 100, 200}; its mask says 10 y + x too, so that both can be compared.
Sample counting(int64_t h, int64_t w) {
  Sample sample{"counting", Image(h, w, 3), Image(h, w, 1)};
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      const uint8_t number = static_cast<uint8_t>(10 * y + x);
      std::copy_n(std::vector<uint8_t>{number, 100, 200}.data(), 3, sample.photo.at(y, x));
      *sample.mask.at(y, x) = number;
    }
  }
  return sample;
}

Sample augmented(const Sample& sample, const AugmentOptions& options, uint64_t key = 1) {
  return augment(sample, options, 255, {}, Random(key));
}

TEST(Augment, NothingAskedForChangesNothing) {
  const Sample sample = counting(5, 7), result = augmented(sample, {});
  EXPECT_EQ(result.photo.pixels, sample.photo.pixels);
  EXPECT_EQ(result.mask.pixels, sample.mask.pixels);
  EXPECT_EQ(result.id, "counting");
}

TEST(Augment, FlipMirrorsPhotoAndMask) {
  AugmentOptions options;
  options.flip = 1;
  const Sample result = augmented(counting(2, 5), options);
  for (int64_t x = 0; x < 5; ++x) {
    EXPECT_EQ(result.photo.at(1, x)[0], 10 + 4 - x);
    EXPECT_EQ(*result.mask.at(1, x), 10 + 4 - x);
    EXPECT_EQ(result.photo.at(1, x)[2], 200) << "channels keep their order";
  }
  options.flip = 0.5;
  int flipped = 0;
  for (uint64_t key = 0; key < 100; ++key) flipped += *augmented(counting(2, 5), options, key).mask.at(0, 0) == 4;
  EXPECT_NEAR(flipped, 50, 20);
}

TEST(Augment, CropTakesTheSameWindowOfPhotoAndMask) {
  AugmentOptions options;
  options.crop = {3, 4};
  bool moved = false;
  for (uint64_t key = 0; key < 50; ++key) {
    const Sample result = augmented(counting(6, 9), options, key);
    ASSERT_EQ(result.photo.size(), (Size{3, 4}));
    for (size_t i = 0; i < result.mask.pixels.size(); ++i) ASSERT_EQ(result.mask.pixels[i], result.photo.pixels[3 * i]);
    EXPECT_EQ(*result.mask.at(2, 3) - *result.mask.at(0, 0), 23);
    moved |= *result.mask.at(0, 0) == 35;  // the last place is reached
  }
  EXPECT_TRUE(moved);
}

TEST(Augment, SmallPhotosAreExtendedByTheMeanAndVoid) {
  AugmentOptions options;
  options.crop = {4, 6};
  const Normalize normalize{{1, 2, 3}, {1, 1, 1}};
  const Sample result = augment(counting(3, 8), options, 9, normalize, Random(1));
  ASSERT_EQ(result.photo.size(), (Size{4, 6}));
  for (int64_t x = 0; x < 6; ++x) {
    EXPECT_EQ(*result.mask.at(3, x), 9);
    for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(result.photo.at(3, x)[c], 1 + c);
  }
  EXPECT_EQ(*result.mask.at(2, 5), result.photo.at(2, 5)[0]);
}

TEST(Augment, LabelsAreResampledWithNearest) {
  AugmentOptions options;
  options.scale_low = 0.5, options.scale_high = 2;
  Sample sample{"two classes", Image(20, 30, 3, 50), Image(20, 30, 1, 3)};
  for (int64_t x = 0; x < 15; ++x)
    for (int64_t y = 0; y < 20; ++y) *sample.mask.at(y, x) = 200;
  int64_t smallest = 1000, largest = 0;
  for (uint64_t key = 0; key < 60; ++key) {
    const Sample result = augmented(sample, options, key);
    ASSERT_EQ(result.photo.size(), result.mask.size());
    for (const uint8_t id : result.mask.pixels) ASSERT_TRUE(id == 3 || id == 200) << int{id};
    smallest = std::min(smallest, result.mask.width), largest = std::max(largest, result.mask.width);
  }
  EXPECT_LT(smallest, 20);
  EXPECT_GT(largest, 50);
}

TEST(Augment, ColoursAreJitteredAndTheMaskIsNot) {
  AugmentOptions options;
  options.brightness = 0.5;
  const Sample sample = counting(4, 4), result = augmented(sample, options, 3);
  EXPECT_EQ(result.mask.pixels, sample.mask.pixels);
  const double factor = result.photo.at(0, 0)[1] / 100.0;
  EXPECT_NE(factor, 1);
  EXPECT_NEAR(result.photo.at(0, 0)[2], std::min(255.0, 200 * factor), 2) << "one factor for all channels";
  options.brightness = 0, options.saturation = 1;
  const Sample faded = augmented(sample, options, 5);
  const auto spread = [](const Sample& s) { return s.photo.at(0, 0)[2] - s.photo.at(0, 0)[0]; };
  EXPECT_NE(spread(faded), spread(sample));
  options.saturation = 0, options.contrast = 1;
  EXPECT_NE(augmented(sample, options, 5).photo.pixels, sample.photo.pixels);
}

TEST(Resize, BilinearAsPyTorch) {
  Image image(2, 3, 1);
  image.pixels = {10, 20, 30, 40, 90, 60};
  // torch.nn.functional.interpolate(size=(3, 5), mode="bilinear", align_corners=False), rounded
  EXPECT_EQ(resize_photo(image, {3, 5}).pixels,
            (std::vector<uint8_t>{10, 14, 20, 26, 30, 25, 37, 55, 49, 45, 40, 60, 90, 72, 60}));
  EXPECT_EQ(resize_mask(image, {4, 6}).pixels, (std::vector<uint8_t>{10, 10, 20, 20, 30, 30, 10, 10, 20, 20, 30, 30,
                                                                     40, 40, 90, 90, 60, 60, 40, 40, 90, 90, 60, 60}));
  EXPECT_EQ(resize_mask(image, {1, 1}).pixels, std::vector<uint8_t>{90});
}

TEST(Resize, AsPil) {  // PIL.Image.resize(size, BILINEAR)
  Image row(1, 8, 1);
  row.pixels = {10, 20, 200, 30, 90, 255, 0, 60};
  EXPECT_EQ(resize_photo(row, {1, 3}).pixels, (std::vector<uint8_t>{61, 113, 85}));
  EXPECT_EQ(resize_photo(row, {1, 4}).pixels, (std::vector<uint8_t>{41, 100, 133, 62}));
  EXPECT_EQ(resize_photo(row, {1, 5}).pixels, (std::vector<uint8_t>{14, 122, 74, 158, 35}));
  EXPECT_EQ(resize_photo(row, {1, 11}).pixels, (std::vector<uint8_t>{10, 16, 77, 192, 69, 60, 128, 248, 81, 25, 60}));
  EXPECT_EQ(resize_photo(row, {1, 8}).pixels, row.pixels);
  Image photo(5, 7, 3);  // planes shifted by one row and one column each
  for (int64_t y = 0; y < 5; ++y) {
    for (int64_t x = 0; x < 7; ++x)
      for (int64_t c = 0; c < 3; ++c) photo.at(y, x)[c] = static_cast<uint8_t>((37 * y * y + 91 * x + 13 * x * y) + c);
  }
  const Image narrow = resize_photo(photo, {2, 3}), tall = resize_photo(photo, {9, 4});
  const std::vector<uint8_t> two_by_three{102, 137, 125, 127, 164, 129};
  for (size_t i = 0; i < two_by_three.size(); ++i)
    EXPECT_NEAR(narrow.pixels[3 * i], two_by_three[i], 1) << i;  // PIL rounds between the two passes
  const std::vector<uint8_t> middle{113, 139, 155, 143};
  for (size_t i = 0; i < middle.size(); ++i) EXPECT_NEAR(tall.at(5, 0)[3 * i], middle[i], 1) << i;
}

TEST(WriteInput, NormalisesAndFillsWithTheMean) {
  const Normalize normalize{{100, 50, 0}, {2, 4, 8}};
  std::vector<float> memory(2 * 3 * 4 * 3, -1);
  const View input = dense_view(memory.data(), Type::f32, {2, 3, 4, 3});
  write_input(counting(2, 3).photo, normalize, input, 1);
  EXPECT_FLOAT_EQ(input.at<float>(1, 1, 2)[0], (12 - 100) / 2.0F);
  EXPECT_FLOAT_EQ(input.at<float>(1, 1, 2)[1], (100 - 50) / 4.0F);
  EXPECT_FLOAT_EQ(input.at<float>(1, 1, 2)[2], 200 / 8.0F);
  EXPECT_EQ(input.at<float>(1, 2, 0)[0], 0);
  EXPECT_EQ(input.at<float>(1, 0, 3)[2], 0);
  EXPECT_EQ(input.at<float>(0, 0, 0)[0], -1) << "image 0 is not touched";
  EXPECT_THROW(write_input(Image(4, 4, 3), normalize, input, 0), UsageError);
  EXPECT_THROW(write_input(Image(2, 2, 1), normalize, input, 0), UsageError);
}

TEST(WriteLabels, FillsWithVoid) {
  std::vector<uint8_t> memory(2 * 3 * 4, 77);
  const View labels = dense_view(memory.data(), Type::u8, {2, 3, 4, 1});
  write_labels(counting(2, 3).mask, 255, labels, 0);
  EXPECT_EQ(*labels.at<uint8_t>(0, 1, 2), 12);
  EXPECT_EQ(*labels.at<uint8_t>(0, 2, 0), 255);
  EXPECT_EQ(*labels.at<uint8_t>(1, 0, 0), 77);
}

}  // namespace
}  // namespace pixelwise
