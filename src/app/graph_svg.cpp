#include "app/graph_svg.hpp"

#include <algorithm>
#include <cmath>

#include "app/graph_layout.hpp"
#include "app/svg.hpp"
#include "core/format.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

constexpr double margin = 16, line_height = 11;

struct Style {
  BoxKind kind;
  const char* colour;
  const char* text;
};
constexpr Style styles[]{
    {BoxKind::photo, "#444444", "photo"},
    {BoxKind::conv, "#4c78a8", "convolution"},
    {BoxKind::pointwise, "#9ecae9", "1\u00d71 convolution"},
    {BoxKind::depthwise, "#439894", "depthwise"},
    {BoxKind::atrous, "#8e6bbf", "atrous, with its rate"},
    {BoxKind::pool, "#e45756", "pooling"},
    {BoxKind::upsample, "#54a24b", "upsampling"},
    {BoxKind::concat, "#bab0ac", "concatenation"},
    {BoxKind::add, "#ffffff", "sum"},
};
const Style& style_of(BoxKind kind) {
  return *std::find_if(std::begin(styles), std::end(styles), [&](const Style& style) { return style.kind == kind; });
}

class Drawing : private SvgCanvas {
 public:
  Drawing(const Graph& graph, ValueId image) : graph_(graph), layout_(layout_of(graph, image)) {}

  std::string draw(const std::string& title) {
    const double head = layout_.top - 30;
    text(layout_.width / 2, head - 16, title, "middle", 13, "#222222");
    sections(layout_.top - 22);
    receptive_fields();
    for (const Link& link : layout_.links) draw_link(link);
    spine_line();
    for (const Fan& fan : layout_.fans) draw_fan(fan);
    for (size_t i = 0; i < layout_.boxes.size(); ++i) draw_box(i);
    stage_labels(layout_.bottom + 10);
    const double bottom = legend(layout_.bottom + 14 + 4 * line_height + 18);
    const double top = head - 34, width = layout_.width + 2 * margin, height = bottom - top + margin;
    return document(
        -margin, top, width, height,
        "<defs><marker id=\"tip\" viewBox=\"0 0 6 6\" refX=\"5.5\" refY=\"3\" markerWidth=\"6\" "
        "markerHeight=\"6\" orient=\"auto\"><path d=\"M0 0L6 3L0 6z\" fill=\"#555555\"/></marker></defs>\n");
  }

 private:
  const Box& box(size_t i) const { return layout_.boxes[i]; }
  const Value& map(size_t i) const { return graph_.at(box(i).value); }
  const Node* node(size_t i) const {
    return box(i).node < 0 ? nullptr : &graph_.nodes[static_cast<size_t>(box(i).node)];
  }

  // "3x3, rate 6", "1x1", "image pooling"
  std::string branch_name(const std::vector<size_t>& branch) const {
    for (const size_t i : branch) {
      if (std::holds_alternative<GlobalAvgPoolSpec>(node(i)->spec)) return "image pooling";
      const auto* conv = std::get_if<Conv2dSpec>(&node(i)->spec);
      if (!conv) continue;
      const std::string kernel = format("{}\u00d7{}", conv->kernel.h, conv->kernel.w);
      return conv->kernel.h > 1 ? format("{}, rate {}", kernel, conv->dilation.h) : kernel;
    }
    return "";
  }

  std::string tooltip(size_t i) const {
    const Shape& shape = map(i).shape;
    const std::string size = format("{}\u00d7{}\u00d7{}", shape.h, shape.w, shape.c);
    if (!node(i)) return "photo " + size;
    std::string what = operator_of(node(i)->spec).name;
    if (const auto* conv = std::get_if<Conv2dSpec>(&node(i)->spec)) {
      what = format("{} {}\u00d7{}", what, conv->kernel.h, conv->kernel.w);
      if (conv->dilation.h > 1) what += format(" rate {}", conv->dilation.h);
    }
    return format("{}: {}, {}, sees {}", node(i)->name, what, size, svg_number(map(i).geometry.h.field));
  }

  void draw_box(size_t i) {
    const Box& b = box(i);
    if (b.w == 0 || (b.x == 0 && i > 0)) return;  // a shortcut's convolution: draw_link
    const char* colour = style_of(b.kind).colour;
    if (b.kind == BoxKind::add) {
      const double r = b.w / 2 - 1;
      circle(b.x, b.y, r, "#ffffff", "#555555");
      path(format("M{0} {2}H{1}M{3} {4}V{5}", svg_number(b.x - r), svg_number(b.x + r), svg_number(b.y),
                  svg_number(b.x), svg_number(b.y - r), svg_number(b.y + r)),
           "#555555", "");
      return;
    }
    rectangle(b.x - b.w / 2, b.y - b.h / 2, b.w, b.h, colour, tooltip(i));
    const auto* conv = node(i) ? std::get_if<Conv2dSpec>(&node(i)->spec) : nullptr;
    if (b.kind == BoxKind::atrous && b.y == 0)
      text(b.x, -b.h / 2 - 2, format("{}", conv->dilation.h), "middle", 6.5, colour);
  }

  void spine_line() {
    const size_t first = layout_.spine.front(), last = layout_.spine.back();
    std::string points = format("M{} 0", svg_number(box(first).x));
    for (const Fan& fan : layout_.fans)
      points += format("H{}M{} 0", svg_number(box(fan.from).x), svg_number(box(fan.to).x));
    path(points + format("H{}", svg_number(box(last).x)), "#555555", "");
  }

  // From the origin to each branch, through it, and on to the concatenation.
  void draw_fan(const Fan& fan) {
    const double left = box(fan.from).x + box(fan.from).w / 2, right = box(fan.to).x - box(fan.to).w / 2;
    for (const auto& branch : fan.branches) {
      if (branch.empty()) continue;
      const Box &a = box(branch.front()), &z = box(branch.back());
      const double in = a.x - a.w / 2, out = z.x + z.w / 2, bend = 12;
      path(format("M{0} 0C{1} 0 {0} {3} {1} {3}H{2}", svg_number(left), svg_number(left + bend), svg_number(in),
                  svg_number(a.y)) +
               format("M{0} {3}H{1}C{2} {3} {1} 0 {2} 0", svg_number(out), svg_number(right - bend), svg_number(right),
                      svg_number(z.y)),
           "#555555", "");
      path(format("M{} {}H{}", svg_number(in), svg_number(a.y), svg_number(out)), "#555555", "");
      double half = 0;
      for (const size_t i : branch) half = std::max(half, box(i).h / 2);
      text((left + right) / 2, a.y - half - 2.5, branch_name(branch), "middle", 8, "#333333");
    }
  }

  void draw_link(const Link& link) {
    const Box &from = box(link.from), &to = box(link.to);
    const double side = link.lane < 0 ? -1 : 1, start = from.y + side * from.h / 2, end = to.y + side * to.h / 2;
    const bool indices = link.kind == LinkKind::indices, shortcut = link.kind == LinkKind::shortcut;
    const char* colour = indices ? "#e45756" : shortcut ? "#aaaaaa" : "#555555";
    path(format("M{} {}V{}H{}V{}", svg_number(from.x), svg_number(start), svg_number(link.lane), svg_number(to.x),
                svg_number(end)),
         colour,
         indices    ? "stroke-dasharray=\"3 2\" marker-end=\"url(#tip)\""
         : shortcut ? "stroke-width=\".8\""
                    : "marker-end=\"url(#tip)\"");
    if (!shortcut) return;
    for (const size_t i : link.chain)
      circle(from.x + (to.x - from.x) / 4, link.lane, 2, style_of(box(i).kind).colour, "none", tooltip(i));
  }

  // What a pixel in the middle of each map sees of the photo: a band around the axis, as tall as the receptive field.
  void receptive_fields() {
    const double photo = box(0).h / 2;
    std::string upper, lower;
    for (const size_t i : layout_.spine) {
      const double half = std::min(map(i).geometry.h.field * layout_.scale / 2, photo);
      upper += format("{}{} {}", upper.empty() ? "M" : "L", svg_number(box(i).x), svg_number(-half));
      lower = format("L{} {}", svg_number(box(i).x), svg_number(half)) + lower;
    }
    area(upper + lower, "#f58518", 0.16);
  }

  void sections(double y) {
    size_t end = 0;  // boxes of the spine up to the last of the backbone
    for (size_t k = 0; k < layout_.spine.size(); ++k) {
      const Node* made_by = node(layout_.spine[k]);
      if (made_by && made_by->name.starts_with("backbone.")) end = k + 1;
    }
    if (end == 0 || end == layout_.spine.size()) return;
    const auto edge = [&](size_t k, double side) {
      const Box& b = box(layout_.spine[k]);
      return b.x + side * b.w / 2;
    };
    section(edge(1, -1), edge(end - 1, 1), y, "encoder");
    section(edge(end - 1, 1) + 6, edge(layout_.spine.size() - 1, 1), y, "decoder");
  }

  void section(double left, double right, double y, const char* name) {
    bracket(left, right, y, 4);
    text((left + right) / 2, y - 4, name, "middle", 10, "#222222");
  }

  void bracket(double left, double right, double y, double depth) {
    path(format("M{} {}v{}H{}v{}", svg_number(left), svg_number(y + depth), svg_number(-depth), svg_number(right),
                svg_number(depth)),
         "#999999", "");
  }

  void stage_labels(double y) {
    for (const Stage& stage : layout_.stages) {
      const size_t last = stage.boxes.back();
      const Shape& shape = map(last).shape;
      const Geometry& geometry = map(last).geometry.h;
      const double middle = (stage.left + stage.right) / 2;
      bracket(stage.left + 2, stage.right - 2, y + 4, -4);
      text(middle, y + 5 + line_height, format("stride {:.0f}", geometry.stride), "middle", 8.5, "#222222");
      text(middle, y + 5 + 2 * line_height, format("{}\u00d7{}\u00d7{}", shape.h, shape.w, shape.c), "middle", 8.5,
           "#222222");
      text(middle, y + 5 + 3 * line_height, format("sees {:.0f}", geometry.field), "middle", 8.5, "#c06000");
    }
  }

  // Only what occurs; returns its lower edge.
  double legend(double y) {
    double x = 0;
    const auto room = [&](const std::string& words) {  // starts a new line where the entry would not fit
      const double width = 24 + 4.2 * static_cast<double>(words.size());
      if (x > 0 && x + width > layout_.width) {
        x = 0;
        y += 14;
      }
      const double at = x;
      x += width;
      return at;
    };
    const auto label = [&](double at, const std::string& words) {
      text(at + 14, y + 3, words, "start", 8.5, "#222222");
    };
    for (const Style& style : styles) {
      const auto same = [&](const Box& b) { return b.kind == style.kind; };
      if (style.kind == BoxKind::add || std::none_of(layout_.boxes.begin(), layout_.boxes.end(), same)) continue;
      const double at = room(style.text);
      rectangle(at, y - 5, 10, 10, style.colour);
      label(at, style.text);
    }
    struct Line {
      LinkKind kind;
      const char *words, *colour, *more;
    };
    for (const Line& line : {Line{LinkKind::shortcut, "shortcut of a residual block", "#aaaaaa", ""},
                             Line{LinkKind::skip, "skip", "#555555", ""},
                             Line{LinkKind::indices, "pooling indices", "#e45756", "stroke-dasharray=\"3 2\""}}) {
      const auto same = [&](const Link& link) { return link.kind == line.kind; };
      if (std::none_of(layout_.links.begin(), layout_.links.end(), same)) continue;
      const double at = room(line.words);
      path(format("M{} {}h10", svg_number(at), svg_number(y)), line.colour, line.more);
      label(at, line.words);
    }
    const std::string field = "what a pixel sees of the photo";
    const double at = room(field);
    rectangle(at, y - 5, 10, 10, "#fde5cd");
    label(at, field);
    y += 16;
    text(0, y, "Height of a box: rows of its map. Width: logarithm of its channels.", "start", 8.5, "#666666");
    return y;
  }

  const Graph& graph_;
  GraphLayout layout_;
};

}  // namespace

std::string svg_of(const Graph& graph, ValueId image, const std::string& title) {
  return Drawing(graph, image).draw(title);
}

}  // namespace pixelwise
