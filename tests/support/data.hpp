// Real data for tests: a folder laid out as VOCdevkit/, CamVid/ and weights/, named by PIXELWISE_TEST_DATA.
#pragma once
#include <cstdlib>
#include <string>

/// The folder, or an empty string: the test then skips itself with GTEST_SKIP.
inline std::string test_data() {
  const char* path = std::getenv("PIXELWISE_TEST_DATA");
  return path ? path : "";
}
