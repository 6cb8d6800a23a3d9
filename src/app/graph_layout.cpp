#include "app/graph_layout.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

namespace pixelwise {
namespace {

constexpr double photo_height = 200, wanted_width = 1000;
constexpr double gap = 4, stage_width = 58, stage_gap = 8, branch_width = 70, branch_gap = 15, lane_gap = 9;
constexpr double circle = 9;

template <class... Spec>
bool is_one_of(const OpSpec& spec) {
  return (std::holds_alternative<Spec>(spec) || ...);
}

std::optional<BoxKind> kind_of(const Graph& graph, const Node& node) {
  if (const auto* conv = std::get_if<Conv2dSpec>(&node.spec)) {
    if (conv->kernel.h * conv->kernel.w == 1) return BoxKind::pointwise;
    if (conv->dilation.h > 1) return BoxKind::atrous;
    const bool depthwise = conv->groups > 1 && conv->groups == graph.at(node.dst[0].value).shape.c;
    return depthwise ? BoxKind::depthwise : BoxKind::conv;
  }
  if (is_one_of<ConvTranspose2dSpec, MaxUnpool2dSpec, ResizeSpec>(node.spec)) return BoxKind::upsample;
  if (is_one_of<MaxPool2dSpec, AvgPool2dSpec, GlobalAvgPoolSpec>(node.spec)) return BoxKind::pool;
  if (std::holds_alternative<ConcatSpec>(node.spec)) return BoxKind::concat;
  if (std::holds_alternative<AddSpec>(node.spec)) return BoxKind::add;
  return std::nullopt;
}

class Drawer {
 public:
  Drawer(const Graph& graph, ValueId image) : graph_(graph) {
    find_boxes(image);
    find_fans();
    find_spine();
    find_links();
    place();
    find_lanes();
  }
  GraphLayout result() { return std::move(out_); }

 private:
  Box& box(size_t i) { return out_.boxes[i]; }

  void find_boxes(ValueId image) {
    std::vector<int> maker(graph_.values.size(), -1);  // the box of a value
    out_.boxes.push_back({-1, image, BoxKind::photo, {}, -1});
    maker[static_cast<size_t>(image)] = 0;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      const auto maker_of = [&](size_t i) { return maker.at(static_cast<size_t>(node.src.at(i).value)); };
      int made = maker_of(0);
      if (std::holds_alternative<CropSpec>(node.spec)) box(static_cast<size_t>(made)).value = node.dst[0].value;
      if (const auto kind = kind_of(graph_, node)) {
        Box box{static_cast<int>(n), node.dst[0].value, *kind, {}, -1};
        const bool unpool = std::holds_alternative<MaxUnpool2dSpec>(node.spec);
        if (unpool) box.pool = maker_of(1);
        for (size_t i = 0; i < (unpool ? 1 : node.src.size()); ++i)
          box.from.push_back(static_cast<size_t>(maker_of(i)));
        made = static_cast<int>(out_.boxes.size());
        out_.boxes.push_back(box);
      }
      for (const Output& dst : node.dst) maker[static_cast<size_t>(dst.value)] = made;
    }
    readers_.assign(out_.boxes.size(), 0);
    for (const Box& box : out_.boxes) {
      for (const size_t from : box.from) ++readers_[from];
    }
  }

  // The boxes from `last` backwards that nobody else reads and that read one box each.
  std::vector<size_t> chain_to(size_t last, const std::vector<bool>& stop) {
    std::vector<size_t> chain;
    while (readers_[last] == 1 && box(last).from.size() == 1 && !stop[last]) {
      chain.insert(chain.begin(), last);
      last = box(last).from[0];
    }
    return chain;
  }

  void find_fans() {
    placed_.assign(out_.boxes.size(), false);
    const std::vector<bool> nowhere(out_.boxes.size(), false);
    for (size_t i = 0; i < out_.boxes.size(); ++i) {
      if (box(i).kind != BoxKind::concat) continue;
      Fan fan{0, i, {}};
      bool one_origin = box(i).from.size() > 1;
      for (const size_t from : box(i).from) {
        fan.branches.push_back(chain_to(from, nowhere));
        const std::vector<size_t>& branch = fan.branches.back();
        const size_t origin = branch.empty() ? from : box(branch[0]).from[0];
        if (fan.branches.size() == 1) fan.from = origin;
        one_origin &= origin == fan.from;
      }
      if (!one_origin) continue;
      for (const auto& branch : fan.branches) {
        for (const size_t member : branch) placed_[member] = true;
      }
      out_.fans.push_back(std::move(fan));
    }
  }

  const Fan* fan_to(size_t i) const {
    const auto found = std::find_if(out_.fans.begin(), out_.fans.end(), [&](const Fan& fan) { return fan.to == i; });
    return found == out_.fans.end() ? nullptr : &*found;
  }

  // The longest way from the photo to the last box; a fan is one step of it.
  void find_spine() {
    std::vector<int> depth(out_.boxes.size(), 0);
    std::vector<size_t> previous(out_.boxes.size(), 0);
    for (size_t i = 1; i < out_.boxes.size(); ++i) {
      if (placed_[i]) continue;
      const Fan* fan = fan_to(i);
      for (const size_t from : fan ? std::vector<size_t>{fan->from} : box(i).from) {
        if (depth[from] < depth[i]) continue;
        depth[i] = depth[from] + 1;
        previous[i] = from;
      }
    }
    for (size_t i = out_.boxes.size() - 1; i > 0; i = previous[i]) out_.spine.push_back(i);
    out_.spine.push_back(0);
    std::reverse(out_.spine.begin(), out_.spine.end());
    for (const size_t i : out_.spine) placed_[i] = true;
  }

  void find_links() {
    const auto upsamples = [&](size_t from, size_t to) {
      return std::any_of(out_.spine.begin(), out_.spine.end(),
                         [&](size_t i) { return i > from && i <= to && box(i).kind == BoxKind::upsample; });
    };
    for (size_t k = 1; k < out_.spine.size(); ++k) {
      const size_t to = out_.spine[k];
      if (box(to).pool >= 0) out_.links.push_back({LinkKind::indices, static_cast<size_t>(box(to).pool), to, {}, 0});
      if (fan_to(to)) continue;
      for (const size_t last : box(to).from) {
        if (last == out_.spine[k - 1]) continue;
        const std::vector<size_t> chain = chain_to(last, placed_);
        const size_t from = chain.empty() ? last : box(chain[0]).from[0];
        const LinkKind kind = upsamples(from, to) ? LinkKind::skip : LinkKind::shortcut;
        out_.links.push_back({kind, from, to, chain, 0});
      }
    }
  }

  void measure(double width_of_doubling) {
    for (Box& box : out_.boxes) {
      const Shape& shape = graph_.at(box.value).shape;
      box.h = std::max(1.5, static_cast<double>(shape.h) * out_.scale);
      box.w = std::max(1.5, std::log2(static_cast<double>(shape.c)) * width_of_doubling);
      if (box.kind == BoxKind::add) box.w = box.h = circle;
    }
  }

  // The room that a box of the spine wants to its left.
  double room_before(size_t i) {
    double room = gap;
    if (const Fan* fan = fan_to(i)) {
      double widest = branch_width;
      for (const auto& branch : fan->branches) {
        double width = 2 * gap;
        for (const size_t member : branch) width += box(member).w + gap;
        widest = std::max(widest, width);
      }
      room += widest + 4 * gap;
    }
    for (const Link& link : out_.links) {  // the boxes of a skip stand before the one that they meet
      if (link.to != i || link.kind != LinkKind::skip) continue;
      double width = 4 * gap;
      for (const size_t member : link.chain) width += box(member).w + gap;
      room = std::max(room, width);
    }
    return room;
  }

  void place() {
    const Shape& photo = graph_.at(box(0).value).shape;
    out_.scale = photo_height / static_cast<double>(photo.h);
    measure(1);
    double doublings = 0;
    for (const size_t i : out_.spine) doublings += box(i).w;
    measure(std::clamp((wanted_width - gap * static_cast<double>(out_.spine.size())) / doublings, 1.2, 3.0));

    double stride = 0;
    for (const size_t i : out_.spine) {
      const double own = graph_.at(box(i).value).geometry.h.stride;
      if (out_.stages.empty() || own != stride) out_.stages.emplace_back();
      out_.stages.back().boxes.push_back(i);
      stride = own;
    }
    double x = 0;
    for (Stage& stage : out_.stages) {
      double wanted = 0;
      for (const size_t i : stage.boxes) wanted += room_before(i) + box(i).w;
      stage.left = x;
      x += std::max(0.0, (stage_width - wanted) / 2);
      for (const size_t i : stage.boxes) {
        x += room_before(i);
        box(i).x = x + box(i).w / 2;
        x += box(i).w;
      }
      stage.right = x = std::max(x + gap, stage.left + stage_width);
      x += stage_gap;
    }
    out_.width = x - stage_gap;
    for (const Fan& fan : out_.fans) place_fan(fan);
    for (const Box& box : out_.boxes) {
      out_.top = std::min(out_.top, box.y - box.h / 2);
      out_.bottom = std::max(out_.bottom, box.y + box.h / 2);
    }
  }

  // Branches above each other, each in the middle between origin and concatenation.
  void place_fan(const Fan& fan) {
    const double left = box(fan.from).x + box(fan.from).w / 2, right = box(fan.to).x - box(fan.to).w / 2;
    double height = -branch_gap;
    std::vector<double> heights;
    for (const auto& branch : fan.branches) {
      heights.push_back(0);
      for (const size_t i : branch) heights.back() = std::max(heights.back(), box(i).h);
      height += heights.back() + branch_gap;
    }
    double y = -height / 2;
    for (size_t b = 0; b < fan.branches.size(); ++b) {
      double width = -gap;
      for (const size_t i : fan.branches[b]) width += box(i).w + gap;
      double x = (left + right - width) / 2;
      for (const size_t i : fan.branches[b]) {
        box(i).x = x + box(i).w / 2;
        box(i).y = y + heights[b] / 2;
        x += box(i).w + gap;
      }
      y += heights[b] + branch_gap;
    }
  }

  // Short links first: they lie nearest to the boxes, longer ones around them.
  void find_lanes() {
    std::stable_sort(out_.links.begin(), out_.links.end(), [&](const Link& a, const Link& b) {
      return box(a.to).x - box(a.from).x < box(b.to).x - box(b.from).x;
    });
    for (size_t k = 0; k < out_.links.size(); ++k) {
      Link& link = out_.links[k];
      const double left = box(link.from).x, right = box(link.to).x;
      const double side = link.kind == LinkKind::shortcut ? -1 : 1;
      double thickness = 0, lane = 0;
      for (const size_t i : link.chain) thickness = std::max(thickness, box(i).h / 2);
      if (link.kind == LinkKind::shortcut) thickness = 0;  // a shortcut's convolution is a dot on the line
      for (const Box& box : out_.boxes) {
        const bool on_spine_or_fan = placed_[static_cast<size_t>(&box - out_.boxes.data())];
        if (on_spine_or_fan && box.x >= left && box.x <= right)
          lane = std::max(lane, side * box.y + box.h / 2 + lane_gap + thickness);
      }
      for (size_t other = 0; other < k; ++other) {
        const Link& below = out_.links[other];
        const bool overlaps = box(below.from).x < right && box(below.to).x > left;
        if (!overlaps || side * below.lane <= 0) continue;
        double half = 0;
        for (const size_t i : below.chain) half = std::max(half, box(i).h / 2);
        lane = std::max(lane, side * below.lane + (side > 0 ? half : 0) + lane_gap + thickness);
      }
      link.lane = side * lane;
      if (side > 0) place_on_lane(link);
      out_.top = std::min(out_.top, link.lane - thickness);
      out_.bottom = std::max(out_.bottom, link.lane + thickness);
    }
  }

  void place_on_lane(const Link& link) {
    double x = box(link.to).x - 2 * gap;
    for (auto i = link.chain.rbegin(); i != link.chain.rend(); ++i) {
      box(*i).x = x - box(*i).w / 2;
      box(*i).y = link.lane;
      x -= box(*i).w + gap;
    }
  }

  const Graph& graph_;
  GraphLayout out_;
  std::vector<int> readers_;
  std::vector<bool> placed_;  // on the spine or in a fan
};

}  // namespace

GraphLayout layout_of(const Graph& graph, ValueId image) { return Drawer(graph, image).result(); }

}  // namespace pixelwise
