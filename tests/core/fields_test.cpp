#include "pixelwise/core/fields.hpp"

#include <gtest/gtest.h>

namespace pixelwise {
namespace {

TEST(Fields, NearestKeyIsFoundByEditDistance) {
  const std::vector<std::string> keys{"lr", "momentum", "weight_decay", "clip_norm"};
  EXPECT_EQ(nearest("momemtum", keys), "momentum");
  EXPECT_EQ(nearest("weightdecay", keys), "weight_decay");
  EXPECT_EQ(nearest("l", keys), "lr");
  EXPECT_EQ(nearest("completely_different", keys), "");
  EXPECT_EQ(nearest("lr", {}), "");
}

}  // namespace
}  // namespace pixelwise
