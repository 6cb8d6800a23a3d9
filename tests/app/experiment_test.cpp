#include "pixelwise/app/experiment.hpp"

#include <gtest/gtest.h>

namespace pixelwise {
namespace {

// Masks of one row of four pixels.
class Rows : public Dataset {
 public:
  explicit Rows(std::vector<std::vector<uint8_t>> masks) : masks_(std::move(masks)) {}
  int64_t size() const override { return static_cast<int64_t>(masks_.size()); }
  std::string id(int64_t index) const override { return std::to_string(index); }
  Sample read(int64_t index) const override {
    Sample sample{id(index), Image(1, 4, 3), Image(1, 4, 1)};
    sample.mask.pixels = masks_.at(static_cast<size_t>(index));
    return sample;
  }

 private:
  std::vector<std::vector<uint8_t>> masks_;
};

// Frequencies: class 0: 5 of 4 + 3 pixels; 1: 1 of 4; 2: 1 of 3, because void does not count; 3 is nowhere. The median
// is 1/3.
TEST(ClassWeights, MedianFrequencyByHand) {
  Config config;
  config.model.classes = 4;
  config.loss.class_weights.name = "median_frequency";
  const std::vector<double> weights = class_weights(config, [] {
    return survey(Rows({{0, 0, 0, 1}, {0, 0, 2, 255}}), 4, 255);
  });
  ASSERT_EQ(weights.size(), 4U);
  EXPECT_DOUBLE_EQ(weights[0], 7. / 15);
  EXPECT_DOUBLE_EQ(weights[1], 4. / 3);
  EXPECT_DOUBLE_EQ(weights[2], 1);
  EXPECT_EQ(weights[3], 0);
}

TEST(ClassWeights, AreTakenAsGiven) {
  Config config;
  EXPECT_TRUE(class_weights(config, {}).empty());
  config.loss.class_weights.values = {1, 2};
  EXPECT_EQ(class_weights(config, {}), (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace pixelwise
