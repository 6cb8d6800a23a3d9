#include "pixelwise/io/npy.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "pixelwise/io/files.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

TEST(Npy, HasTheLayoutOfFormat1) {
  const ScratchFolder scratch;
  const std::vector<float> values{1, 2, 3, 4, 5, -6.5f};
  write_npy(scratch.path("a.npy"), values, {1, 2, 3});
  const std::string bytes = read_file(scratch.path("a.npy"));
  const std::string magic("\x93NUMPY\x01\x00\x76\x00", 10);  // 118 more bytes of header: the data begin at 128
  EXPECT_EQ(bytes.substr(0, 10), magic);
  const std::string header = bytes.substr(10, 118);
  EXPECT_EQ(header.find("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3, ), }"), 0u) << header;
  EXPECT_EQ(header.back(), '\n');
  ASSERT_EQ(bytes.size(), 128 + values.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(bytes.data() + 128, values.data(), values.size() * sizeof(float)), 0);
}

TEST(Npy, ScalarsAndWrongShapes) {
  const ScratchFolder scratch;
  write_npy(scratch.path("a.npy"), std::vector<float>{1}, {});
  EXPECT_NE(read_file(scratch.path("a.npy")).find("'shape': ()"), std::string::npos);
  EXPECT_THROW(write_npy(scratch.path("b.npy"), std::vector<float>{1}, {2}), std::invalid_argument);
}

}  // namespace
}  // namespace pixelwise
