// The committed table of convolutions that another kernel served faster than the one that the rules choose
// (src/kernels/conv2d_table.cpp). `segbench --tune` measures it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

/// What a row is about: everything that it needs to have in common with a convolution but the size of the map.
struct ConvolutionClass {
  Isa isa = Isa::baseline;
  Pass pass = Pass::forward;
  Size kernel, stride, dilation;
  int64_t in_channels = 0, out_channels = 0;
  bool operator==(const ConvolutionClass&) const = default;
};

struct ConvolutionRow {
  ConvolutionClass conv;
  int64_t pixels = 0;  ///< of y, in the whole batch
  std::string kernel;  ///< the faster one
  double ms = 0;
  std::string instead_of;  ///< the one that the rules chose when the table was measured
  double instead_ms = 0;
};
using ConvolutionTable = std::vector<ConvolutionRow>;

/// The class and the pixels of a convolution; the rest of the row is empty. Nothing for grouped ones: no row is about
/// them.
std::optional<ConvolutionRow> row_for(const Conv2dSpec& spec, const Problem& problem);

/// "forward, kernel 3x3, stride 1x1, dilation 1x1, 64 -> 64 channels, 10800 pixels, avx512"
std::string describe_row(const ConvolutionRow& row);

/// The row whose class is the same and whose pixels are nearest, at most a quarter more or less; null: none is near.
const ConvolutionRow* nearest_row(const ConvolutionTable& table, const ConvolutionRow& wanted);

/// The committed table.
const ConvolutionTable& convolution_table();
/// The row of the committed table that decides for a convolution; null: the rules do.
const ConvolutionRow* measured_row(const Conv2dSpec& spec, const Problem& problem);
/// Rows from the text of conv2d_table.cpp. Throws DataError naming the line that is not one.
ConvolutionTable parse_convolution_table(std::string_view text);
/// The text of conv2d_table.cpp, rows in order of their class and pixels.
std::string print_convolution_table(ConvolutionTable table);

}  // namespace pixelwise
