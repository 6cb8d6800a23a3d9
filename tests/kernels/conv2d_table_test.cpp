#include "pixelwise/kernels/conv2d_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "pixelwise/core/error.hpp"
#include "pixelwise/kernels/conv2d.hpp"

namespace pixelwise {
namespace {

// A convolution that keeps its map of pixels x 1, in the pass, instruction set and precision fp32 of a row.
// The most square of the maps of so many pixels: some kernels are for rates that depend on both sides.
Size map_of(int64_t pixels) {
  auto height = static_cast<int64_t>(std::sqrt(static_cast<double>(pixels)));
  while (pixels % height) --height;
  return {height, pixels / height};
}

Problem problem_of(const ConvolutionRow& row, Conv2dSpec& spec) {
  const ConvolutionClass& c = row.conv;
  const Size border{(c.kernel.h - 1) * c.dilation.h / 2, (c.kernel.w - 1) * c.dilation.w / 2};
  spec = {c.out_channels, c.kernel, c.stride, border, c.dilation};
  const Size coarse = map_of(row.pixels);
  const Size fine{(coarse.h - 1) * c.stride.h + 1, (coarse.w - 1) * c.stride.w + 1};
  const TensorDesc x{Type::f32, {1, fine.h, fine.w, c.in_channels}},
      y{Type::f32, {1, coarse.h, coarse.w, c.out_channels}},
      weights{Type::f32, conv2d_weights_shape(spec, c.in_channels)};
  Problem problem;
  problem.pass = c.pass, problem.isa = c.isa;
  problem.src = {c.pass == Pass::backward_data ? y : x};
  if (c.pass == Pass::backward_weights) problem.src.push_back(y);
  problem.dst = {c.pass == Pass::forward ? y : c.pass == Pass::backward_data ? x : weights};
  if (c.pass != Pass::backward_weights) problem.parameters = {weights};
  return problem;
}

const ConvolutionRow example{
    {Isa::avx512, Pass::backward_weights, {3, 3}, {1, 1}, {2, 2}, 256, 512}, 1000, "winograd6", 1.5, "winograd4", 2.25};

ConvolutionRow with_pixels(int64_t pixels) {
  ConvolutionRow row = example;
  row.pixels = pixels;
  return row;
}

TEST(ConvolutionTable, ProblemsMakeTheRowsTheyBelongTo) {
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    ConvolutionRow row = example;
    row.conv.pass = pass;
    Conv2dSpec spec;
    const Problem problem = problem_of(row, spec);
    const std::optional<ConvolutionRow> made = row_for(spec, problem);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->conv, row.conv);
    EXPECT_EQ(made->pixels, 1000);
    spec.groups = 2;
    EXPECT_FALSE(row_for(spec, problem));
  }
}

TEST(ConvolutionTable, NearestPixelsOfTheSameClass) {
  const ConvolutionTable table{with_pixels(1000), with_pixels(1200), with_pixels(5000)};
  EXPECT_EQ(nearest_row(table, with_pixels(1000)), &table[0]);
  EXPECT_EQ(nearest_row(table, with_pixels(1150)), &table[1]);
  EXPECT_EQ(nearest_row(table, with_pixels(800)), &table[0]);
  EXPECT_EQ(nearest_row(table, with_pixels(6250)), &table[2]);
  EXPECT_EQ(nearest_row(table, with_pixels(799)), nullptr);  // a quarter at most
  EXPECT_EQ(nearest_row(table, with_pixels(1501)), nullptr);
  EXPECT_EQ(nearest_row(table, with_pixels(6251)), nullptr);
}

TEST(ConvolutionTable, AnotherClassIsNotNear) {
  const ConvolutionTable table{example};
  std::vector<ConvolutionRow> others(7, example);
  others[0].conv.isa = Isa::avx2;
  others[1].conv.pass = Pass::forward;
  others[2].conv.kernel = {3, 5};
  others[3].conv.stride = {1, 2};
  others[4].conv.dilation = {2, 3};
  others[5].conv.in_channels = 255;
  others[6].conv.out_channels = 513;
  for (const ConvolutionRow& other : others) EXPECT_EQ(nearest_row(table, other), nullptr) << describe_row(other);
}

TEST(ConvolutionTable, IsReadAsItIsPrinted) {
  ConvolutionRow first = example;
  first.conv.pass = Pass::forward;
  first.conv.isa = Isa::baseline;
  const std::string text = print_convolution_table({example, first});
  const ConvolutionTable table = parse_convolution_table(text);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].conv, first.conv);  // in order
  EXPECT_EQ(table[1].conv, example.conv);
  EXPECT_EQ(table[1].pixels, 1000);
  EXPECT_EQ(table[1].kernel, "winograd6");
  EXPECT_EQ(table[1].ms, 1.5);
  EXPECT_EQ(table[1].instead_of, "winograd4");
  EXPECT_EQ(table[1].instead_ms, 2.25);
  EXPECT_EQ(print_convolution_table(table), text);
}

TEST(ConvolutionTable, NamesLinesThatAreNotRows) {
  for (const char* line : {"avx512 forward 3x3", "avx9 forward 3x3 1x1 1x1 64 64 100 winograd4 1.0 winograd6 2.0",
                           "avx512 sideways 3x3 1x1 1x1 64 64 100 winograd4 1.0 winograd6 2.0",
                           "avx512 forward 3,3 1x1 1x1 64 64 100 winograd4 1.0 winograd6 2.0",
                           "avx512 forward 3x3 1x1 1x1 64 64 100 winograd4 1.0 winograd6 2.0 3.0"}) {
    try {
      parse_convolution_table(line);
      ADD_FAILURE() << line;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(line), std::string::npos) << error.what();
    }
  }
}

// The file is as segbench --tune writes it.
TEST(ConvolutionTable, IsCommittedAsItIsPrinted) {
  std::ifstream file(PIXELWISE_SOURCE_DIR "/src/kernels/conv2d_table.cpp");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(print_convolution_table(convolution_table()), text.str());
}

// Every row decides: its kernel is there, serves, and comes before the one of the rules. Beyond its reach the rules do.
TEST(ConvolutionTable, RowsDecideWhereTheyAreNear) {
  for (ConvolutionRow row : convolution_table()) {
    EXPECT_LT(row.ms, row.instead_ms) << describe_row(row);
    Conv2dSpec spec;
    const Problem problem = problem_of(row, spec);
    const Kernel chosen = conv2d_kernels(spec, problem)[0];
    EXPECT_EQ(chosen.name, row.kernel) << describe_row(row);
    EXPECT_EQ(chosen.declined, "") << describe_row(row);
    while (nearest_row(convolution_table(), row)) row.pixels *= 2;
    const Problem far = problem_of(row, spec);
    EXPECT_STREQ(conv2d_kernels(spec, far)[0].name, conv2d_kernels_by_rule(spec, far)[0].name) << describe_row(row);
  }
}

}  // namespace
}  // namespace pixelwise
