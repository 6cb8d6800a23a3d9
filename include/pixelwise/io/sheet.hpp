// Sheets of pictures: a labelled grid, for samples.png, previews and documents.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/io/image.hpp"

namespace pixelwise {

/// The pixels that a line of text covers at `scale` (1: letters of 5x7 pixels, 6 apart).
Size text_size(const std::string& text, int64_t scale = 1);
/// Draws a line of ASCII text whose upper left corner is (top, left); what lies outside of the canvas is cut off, any
/// character that is not printable ASCII becomes a '?'.
void draw_text(Image& canvas, int64_t top, int64_t left, const std::string& text, Colour colour, int64_t scale = 1);

/// Copies `picture` (grey or RGB) into an RGB canvas, its upper left corner at (top, left), cut off at the borders.
void paste(Image& canvas, const Image& picture, int64_t top, int64_t left);
/// Every pixel becomes factor x factor pixels.
Image enlarge(const Image& picture, int64_t factor);

struct Picture {
  std::string caption;  ///< shortened with ".." where it is wider than its column
  Image image;
};
/// RGB, white on black: row by row, each picture below its caption; columns are as wide as their widest picture. Rows
/// may have different lengths.
Image draw_sheet(const std::vector<std::vector<Picture>>& rows, int64_t gap = 4);

}  // namespace pixelwise
