#include "app/svg.hpp"

#include <cmath>

#include "core/format.hpp"

namespace pixelwise {
namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return result;
}

// The end of an element, with the words that a pointer over it shows.
std::string end_of(const char* element, const std::string& tooltip) {
  return tooltip.empty() ? "/>" : format("><title>{}</title></{}>", escaped(tooltip), element);
}

}  // namespace

std::string svg_number(double value) {
  const double tenths = std::round(value * 10) / 10;
  return tenths == std::round(tenths) ? format("{:.0f}", tenths) : format("{:.1f}", tenths);
}

void SvgCanvas::text(double x, double y, const std::string& words, const char* anchor, double size,
                     const char* colour) {
  body_ += format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\">{}</text>\n", svg_number(x),
                  svg_number(y), anchor, svg_number(size), colour, escaped(words));
}

void SvgCanvas::path(const std::string& points, const char* colour, const std::string& more) {
  body_ += format("<path d=\"{}\" stroke=\"{}\" fill=\"none\" {}/>\n", points, colour, more);
}

void SvgCanvas::area(const std::string& points, const char* colour, double opacity) {
  body_ += format("<path d=\"{}z\" fill=\"{}\" fill-opacity=\"{}\"/>\n", points, colour, opacity);
}

void SvgCanvas::rectangle(double x, double y, double w, double h, const char* colour, const std::string& tooltip) {
  body_ += format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"{}\n", svg_number(x), svg_number(y),
                  svg_number(w), svg_number(h), colour, end_of("rect", tooltip));
}

void SvgCanvas::circle(double x, double y, double radius, const char* fill, const char* stroke,
                       const std::string& tooltip) {
  body_ += format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" stroke=\"{}\"{}\n", svg_number(x), svg_number(y),
                  svg_number(radius), fill, stroke, end_of("circle", tooltip));
}

std::string SvgCanvas::document(double left, double top, double width, double height,
                                const std::string& definitions) const {
  const std::string x = svg_number(left), y = svg_number(top), w = svg_number(width), h = svg_number(height);
  return format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{0} {1} {2} {3}\" width=\"{2}\" height=\"{3}\" "
      "font-family=\"Helvetica, Arial, sans-serif\">\n"
      "{4}<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" fill=\"#ffffff\"/>\n{5}</svg>\n",
      x, y, w, h, definitions, body_);
}

}  // namespace pixelwise
