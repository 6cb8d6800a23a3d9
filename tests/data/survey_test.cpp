#include "pixelwise/data/survey.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

constexpr int64_t void_id = 255;

// Samples from memory; those without a mask cannot be read.
class Masks : public Dataset {
 public:
  explicit Masks(std::vector<Image> masks) : masks_(std::move(masks)) {}
  int64_t size() const override { return static_cast<int64_t>(masks_.size()); }
  std::string id(int64_t index) const override { return std::string(1, 'm') + std::to_string(index); }
  Sample read(int64_t index) const override {
    const Image& mask = masks_.at(static_cast<size_t>(index));
    if (mask.pixels.empty()) throw DataError("m.png: cut short");
    return {id(index), Image(mask.height, mask.width, 3), mask};
  }

 private:
  std::vector<Image> masks_;
};

Image mask(int64_t h, int64_t w, const std::function<int64_t(int64_t, int64_t)>& id) {
  Image image(h, w, 1);
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) *image.at(y, x) = static_cast<uint8_t>(id(y, x));
  }
  return image;
}

Image halves(int64_t left, int64_t right) {
  return mask(4, 6, [&](int64_t, int64_t x) { return x < 3 ? left : right; });
}

// A disc whose outline is sharp, or (blur > 0) runs from one id to the other over that many pixels.
Image disc(int64_t background, int64_t inside, double blur) {
  return mask(64, 64, [&](int64_t y, int64_t x) {
    const double from_outline = std::hypot(static_cast<double>(y) - 31.3, static_cast<double>(x) - 30.8) - 20;
    const double share = blur > 0 ? std::clamp(0.5 - from_outline / blur, 0.0, 1.0) : from_outline < 0;
    return std::lround(static_cast<double>(background) + share * static_cast<double>(inside - background));
  });
}

std::vector<Finding::Kind> kinds(const Survey& s) {
  std::vector<Finding::Kind> result;
  for (const Finding& finding : s.findings) result.push_back(finding.kind);
  return result;
}

TEST(Survey, CountsPixelsAndSamplesAndFindsNothingInGoodMasks) {
  const Masks masks({halves(0, 1), halves(0, 2), mask(2, 2, [](int64_t y, int64_t) { return y ? 0 : void_id; })});
  int64_t done = 0;
  const Survey s = survey(masks, 3, void_id, [&](int64_t count) { done = count; });
  EXPECT_EQ(done, 3);
  EXPECT_EQ(s.samples, 3);
  EXPECT_EQ(s.read, 3);
  EXPECT_EQ(s.smallest, (Size{2, 2}));
  EXPECT_EQ(s.largest, (Size{4, 6}));
  EXPECT_EQ(s.all_pixels, 52);
  EXPECT_EQ(s.void_pixels, 2);
  EXPECT_EQ(s.pixels[0], 26);
  EXPECT_EQ(s.around[0], 50);
  EXPECT_EQ(s.shown[0], 3);
  EXPECT_EQ(s.around[2], 24);
  EXPECT_EQ(kinds(s), (std::vector{Finding::Kind::one_class}));  // the third shows class 0 alone
}

TEST(Survey, MedianFrequencyWeightsByHand) {
  const Survey s = survey(Masks({halves(0, 1), mask(4, 6, [](int64_t y, int64_t) { return y ? 0 : 2; })}), 4, void_id);
  // f = {12 + 18 of 48, 12 of 24, 6 of 24}, median 0.5; class 3 does not occur
  const std::vector<double> weights = median_frequency_weights(s, 4), wanted{0.5 / 0.625, 1, 2, 0};
  ASSERT_EQ(weights.size(), wanted.size());
  for (size_t c = 0; c < wanted.size(); ++c) EXPECT_DOUBLE_EQ(weights[c], wanted[c]) << c;
  EXPECT_TRUE(median_frequency_weights(Survey{}, 4).empty());
}

TEST(Survey, NamesIdsOutOfRangeWithTheirPixel) {
  const Survey s = survey(Masks({halves(0, 1), halves(0, 7)}), 3, void_id);
  ASSERT_EQ(kinds(s), (std::vector{Finding::Kind::out_of_range}));
  EXPECT_EQ(s.findings[0].sample, "m1");
  EXPECT_NE(s.findings[0].text.find("id 7 at pixel (row 0, column 3); wanted 0 to 2"), std::string::npos)
      << s.findings[0].text;
}

TEST(Survey, GoesOnAfterASampleThatCannotBeRead) {
  const Survey s = survey(Masks({Image{}, halves(0, 1)}), 3, void_id);
  EXPECT_EQ(kinds(s), (std::vector{Finding::Kind::unreadable}));
  EXPECT_EQ(s.read, 1);
  EXPECT_EQ(s.smallest, (Size{4, 6}));
}

TEST(Survey, FindsAColourMaskThatWasReadAsGrey) {
  // Aeroplane (128, 0, 0) is 38, bicycle (0, 128, 0) is 75; no colour is 77.
  const Survey s = survey(Masks({halves(0, 38), halves(38, 75), halves(38, 77)}), 21, void_id);
  const std::vector<Finding::Kind> found = kinds(s);
  EXPECT_EQ(std::count(found.begin(), found.end(), Finding::Kind::palette_as_grey), 2);
}

TEST(Survey, FindsInterpolationAndNotASharpOutline) {
  EXPECT_FALSE(looks_interpolated(disc(0, 15, 0), void_id));
  EXPECT_FALSE(looks_interpolated(disc(3, void_id, 0), void_id));
  EXPECT_TRUE(looks_interpolated(disc(0, 15, 4), void_id));
  EXPECT_TRUE(looks_interpolated(disc(2, 18, 2), void_id));
  // A pole one pixel wide lies between its neighbours, but is not alone.
  EXPECT_FALSE(
      looks_interpolated(mask(64, 64, [](int64_t, int64_t x) { return x < 30   ? 1
                                                                      : x > 30 ? 5
                                                                               : 2; }), void_id));
  const Survey s = survey(Masks({disc(0, 15, 4)}), 21, void_id);
  EXPECT_EQ(kinds(s), (std::vector{Finding::Kind::interpolated}));
}

// The time of a file's last change, in nanoseconds.
int64_t changed(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return int64_t{info.st_ctim.tv_sec} * 1000000000 + info.st_ctim.tv_nsec;
}

TEST(Survey, IsNotKeptForAnotherFolderWithTheSameNamesSizesAndTimes) {
  struct : Masks {
    using Masks::Masks;
    std::vector<std::string> files(int64_t) const override { return {"m.png"}; }
  } first({halves(0, 1)}), second({halves(2, 1)});
  const ScratchFolder scratch;
  ::setenv("XDG_CACHE_HOME", scratch.path("cache").c_str(), 1);
  const std::filesystem::path before = std::filesystem::current_path();
  const std::string folders[] = {scratch.path("a"), scratch.path("b")};
  for (const std::string& folder : folders) std::filesystem::create_directory(folder);
  for (int i = 0; i < 1000; ++i) {  // until the file system's clock does not step between the two
    for (const std::string& folder : folders) write_file(folder + "/m.png", "mask");
    if (changed(folders[0] + "/m.png") == changed(folders[1] + "/m.png")) break;
  }
  std::filesystem::current_path(folders[0]);
  EXPECT_EQ(cached_survey(first, 3, void_id, "view").pixels[0], 12);
  EXPECT_EQ(cached_survey(second, 3, void_id, "view").pixels[0], 12) << "kept: nothing has changed";
  std::filesystem::current_path(folders[1]);
  EXPECT_EQ(cached_survey(second, 3, void_id, "view").pixels[0], 0);
  std::filesystem::current_path(before);
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(Survey, ShapesAreHealthy) {
  DataOptions options;
  options.format = "shapes";
  options.train = "40";
  options.val = "10";
  options.shapes_size = {96, 96};
  EXPECT_TRUE(survey(*open_dataset(options, "train", 7, 3, 1), 7, void_id).findings.empty());
}

}  // namespace
}  // namespace pixelwise
