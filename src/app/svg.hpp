// Drawing in SVG 1.1 (https://www.w3.org/TR/SVG11/): shapes, text and the document around them.
#pragma once
#include <string>

namespace pixelwise {

/// Collects shapes in the order in which they are drawn. Coordinates are pixels, y downwards, kept to a tenth.
class SvgCanvas {
 public:
  /// `anchor`: start, middle or end. Markup characters in `words` are escaped.
  void text(double x, double y, const std::string& words, const char* anchor, double size, const char* colour);
  /// `more`: further attributes.
  void path(const std::string& points, const char* colour, const std::string& more = {});
  void rectangle(double x, double y, double w, double h, const char* colour, const std::string& tooltip = {});
  void area(const std::string& points, const char* colour, double opacity);
  void circle(double x, double y, double radius, const char* fill, const char* stroke, const std::string& tooltip = {});

  /// The file: a white page of this view with what was drawn on it. `definitions`: markers that paths refer to.
  std::string document(double left, double top, double width, double height, const std::string& definitions = {}) const;

 private:
  std::string body_;
};

/// "23.5": one digit behind the point, none where it is 0.
std::string svg_number(double value);

}  // namespace pixelwise
