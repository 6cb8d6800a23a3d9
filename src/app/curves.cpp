#include "app/curves.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "app/svg.hpp"
#include "core/format.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {
namespace {

constexpr double panel_w = 360, panel_h = 200, gap = 70, top = 40;
constexpr size_t loss_points = 150;
constexpr const char *ink = "#222222", *faint = "#dddddd", *blue = "#4c78a8", *green = "#54a24b", *red = "#e45756";

struct Point {
  double x, y;
};
using Curve = std::vector<Point>;

struct Curves {
  Curve loss, iou, accuracy;
};

Curves read(const std::string& metrics) {
  Curves curves;
  for (size_t begin = 0, end; (end = metrics.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const JsonValue line = parse_json(metrics.substr(begin, end - begin), "metrics.jsonl");
    const double step = line.at("step").number();
    if (const JsonValue* loss = line.find("loss"); loss && !loss->is_null())
      curves.loss.push_back({step, loss->number()});
    if (const JsonValue* val = line.find("val")) {
      curves.iou.push_back({step, val->at("mean_iou_present").number()});
      curves.accuracy.push_back({step, val->at("pixel_accuracy").number()});
    }
  }
  return curves;
}

// Runs of neighbours, each replaced by its mean: single batches jump.
Curve averaged(const Curve& curve) {
  const size_t run = (curve.size() + loss_points - 1) / loss_points;
  Curve means;
  for (size_t begin = 0; begin < curve.size(); begin += run) {
    const size_t end = std::min(begin + run, curve.size());
    Point sum{0, 0};
    for (size_t i = begin; i < end; ++i) sum.x += curve[i].x, sum.y += curve[i].y;
    const auto count = static_cast<double>(end - begin);
    means.push_back({sum.x / count, sum.y / count});
  }
  return means;
}

// 1, 2 or 5 times a power of ten, so that about `count` of it make `range`.
double tick_distance(double range, double count) {
  const double rough = range / count, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) return factor * power;
  }
  return 10 * power;
}

class Panel {
 public:
  Panel(SvgCanvas& canvas, double left, double max_x, double max_y)
      : canvas_(canvas), left_(left), max_x_(max_x), max_y_(max_y) {}

  double x(double value) const { return left_ + value / max_x_ * panel_w; }
  double y(double value) const { return top + panel_h - value / max_y_ * panel_h; }

  void axes(const std::string& title) {
    canvas_.text(left_, top - 10, title, "start", 11, ink);
    const double dy = tick_distance(max_y_, 5), dx = tick_distance(max_x_, 5);
    for (int i = 0; i * dy <= max_y_ * 1.0001; ++i) {
      canvas_.path(format("M{} {}h{}", svg_number(left_), svg_number(y(i * dy)), svg_number(panel_w)), faint);
      canvas_.text(left_ - 6, y(i * dy) + 3.5, format("{:.10g}", i * dy), "end", 10, ink);
    }
    for (int i = 0; i * dx <= max_x_ * 1.0001; ++i)
      canvas_.text(x(i * dx), top + panel_h + 15, format("{:.10g}", i * dx), "middle", 10, ink);
    canvas_.text(left_ + panel_w / 2, top + panel_h + 30, "step", "middle", 10, ink);
  }

  void line(const Curve& curve, const char* colour) {
    std::string points;
    for (const Point& point : curve)
      points += format("{}{} {}", points.empty() ? "M" : "L", svg_number(x(point.x)), svg_number(y(point.y)));
    if (!curve.empty()) canvas_.path(points, colour, "stroke-width=\"1.5\" stroke-linejoin=\"round\"");
  }

  void dots(const Curve& curve, const char* colour) {
    for (const Point& point : curve) canvas_.circle(x(point.x), y(point.y), 2.5, colour, colour);
  }

  // "0.592" at a point, above it.
  void label(const Point& point, const char* colour) {
    canvas_.text(x(point.x), y(point.y) - 7, format("{:.3f}", point.y), "middle", 10, colour);
  }

  // Names of the curves in their colours, from the right end of the title's line.
  void legend(const char* first, const char* first_colour, const char* second, const char* second_colour) {
    canvas_.text(left_ + panel_w - 95, top - 10, first, "end", 10, first_colour);
    canvas_.text(left_ + panel_w, top - 10, second, "end", 10, second_colour);
  }

 private:
  SvgCanvas& canvas_;
  double left_, max_x_, max_y_;
};

}  // namespace

std::string svg_of_metrics(const std::string& metrics, const std::string& title) {
  const Curves curves = read(metrics);
  const Curve loss = averaged(curves.loss);
  double last_step = 1, largest_loss = 0;
  for (const Curve* curve : {&curves.loss, &curves.iou})
    for (const Point& point : *curve) last_step = std::max(last_step, point.x);
  for (const Point& point : loss) largest_loss = std::max(largest_loss, point.y);
  if (largest_loss <= 0) largest_loss = 1;

  SvgCanvas canvas;
  Panel left(canvas, 50, last_step, largest_loss * 1.05), right(canvas, 50 + panel_w + gap, last_step, 1);
  canvas.text(50, 14, title, "start", 12, ink);
  left.axes("training loss");
  left.line(loss, blue);
  right.axes("validation");
  right.legend("mean_iou_present", red, "pixel_accuracy", green);
  right.line(curves.accuracy, green);
  right.dots(curves.accuracy, green);
  right.line(curves.iou, red);
  right.dots(curves.iou, red);
  const auto best =
      std::max_element(curves.iou.begin(), curves.iou.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
  if (best != curves.iou.end()) right.label(*best, red);
  return canvas.document(0, 0, 50 + 2 * panel_w + gap + 20, top + panel_h + 40);
}

}  // namespace pixelwise
