// The drawing of a network: every map is there, to scale, and what the papers draw is seen.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "app/graph_layout.hpp"
#include "app/graph_svg.hpp"
#include "pixelwise/models/registry.hpp"

namespace pixelwise {
namespace {

struct Drawn {
  Graph graph;
  ValueId image;
  GraphLayout layout;

  explicit Drawn(const std::string& name, const ModelOptions& options = {}) {
    Builder builder(graph, Phase::inference);
    image = builder.input("image", Type::f32, {1, 257, 257, 3});
    build_model(builder, {name, 21, 3, options}, image);
    layout = layout_of(graph, image);
  }
  const Node& node(size_t box) const { return graph.nodes.at(static_cast<size_t>(layout.boxes.at(box).node)); }
  int64_t links(LinkKind kind) const {
    return std::count_if(layout.links.begin(), layout.links.end(), [&](const Link& link) { return link.kind == kind; });
  }
};

TEST(Drawing, EveryMapOfEveryModelHasItsPlace) {
  for (const ModelEntry& entry : model_registry()) {
    const Drawn drawn(entry.name);
    std::map<size_t, int> places;
    for (const size_t i : drawn.layout.spine) ++places[i];
    for (const Fan& fan : drawn.layout.fans) {
      for (const auto& branch : fan.branches) {
        for (const size_t i : branch) ++places[i];
      }
    }
    for (const Link& link : drawn.layout.links) {
      for (const size_t i : link.chain) ++places[i];
    }
    EXPECT_EQ(places.size(), drawn.layout.boxes.size()) << entry.name;
    for (const auto& [box, count] : places) EXPECT_EQ(count, 1) << entry.name << ' ' << box;
    EXPECT_EQ(drawn.layout.boxes[drawn.layout.spine.back()].h, 257 * drawn.layout.scale) << entry.name;
  }
}

TEST(Drawing, BoxesAreToScaleAndDoNotTouch) {
  for (const char* name : {"fcn8s_vgg16", "segnet", "deeplabv3plus_xception65"}) {
    const Drawn drawn(name);
    double width_of_doubling = 0;
    for (const Box& box : drawn.layout.boxes) {
      if (box.kind == BoxKind::add) continue;
      const Shape& shape = drawn.graph.at(box.value).shape;
      EXPECT_NEAR(box.h, std::max(1.5, static_cast<double>(shape.h) * drawn.layout.scale), 1e-9) << name;
      if (width_of_doubling == 0) width_of_doubling = box.w / std::log2(static_cast<double>(shape.c));
      EXPECT_NEAR(box.w, width_of_doubling * std::log2(static_cast<double>(shape.c)), 1e-9) << name;
    }
    for (size_t k = 1; k < drawn.layout.spine.size(); ++k) {
      const Box &a = drawn.layout.boxes[drawn.layout.spine[k - 1]], &b = drawn.layout.boxes[drawn.layout.spine[k]];
      EXPECT_LT(a.x + a.w / 2, b.x - b.w / 2) << name;
    }
  }
}

TEST(Drawing, SegNetHandsDownTheIndicesOfFivePoolings) {
  const Drawn drawn("segnet");
  EXPECT_EQ(drawn.layout.links.size(), 5U);
  EXPECT_EQ(drawn.links(LinkKind::indices), 5);
  for (const Link& link : drawn.layout.links) {  // nested: the pooling and its upsampling are at mirrored places
    const double pooled = drawn.graph.at(drawn.layout.boxes[link.from].value).geometry.h.stride;
    const double unpooled = drawn.graph.at(drawn.layout.boxes[link.to].value).geometry.h.stride;
    EXPECT_EQ(pooled, 2 * unpooled);
  }
}

TEST(Drawing, FcnHasItsSkips) {
  for (const auto& [name, skips] : {std::pair{"fcn32s_vgg16", 0}, {"fcn16s_vgg16", 1}, {"fcn8s_vgg16", 2}}) {
    const Drawn drawn(name);
    EXPECT_EQ(drawn.links(LinkKind::skip), skips) << name;
    EXPECT_EQ(static_cast<int>(drawn.layout.links.size()), skips) << name;
    for (const Link& link : drawn.layout.links) {
      EXPECT_EQ(link.chain.size(), 1U) << name;  // the scores of the pool
      EXPECT_GT(link.lane, 0) << name;
    }
  }
}

TEST(Drawing, ResidualBlocksHaveShortcuts) {
  const Drawn drawn("fcn_resnet50");
  EXPECT_EQ(drawn.links(LinkKind::shortcut), 16);
  EXPECT_EQ(drawn.layout.links.size(), 16U);
  EXPECT_EQ(std::count_if(drawn.layout.links.begin(), drawn.layout.links.end(),
                          [](const Link& link) { return link.chain.size() == 1 && link.lane < 0; }),
            4);  // of each stage's first block
}

TEST(Drawing, BranchesStandSideBySideWithTheirRates) {
  ModelOptions options;
  options.rates = std::vector<int64_t>{2, 5};
  const Drawn drawn("deeplabv3plus_mobilenet_v2", options);
  ASSERT_EQ(drawn.layout.fans.size(), 1U);
  const Fan& fan = drawn.layout.fans[0];
  ASSERT_EQ(fan.branches.size(), 4U);  // 1x1, two rates, the pooled image
  EXPECT_EQ(std::get<Conv2dSpec>(drawn.node(fan.branches[1][0]).spec).dilation.h, 2);
  EXPECT_EQ(std::get<Conv2dSpec>(drawn.node(fan.branches[2][0]).spec).dilation.h, 5);
  EXPECT_EQ(fan.branches[3].size(), 3U);
  double lower = -1e9;
  for (const auto& branch : fan.branches) {
    for (const size_t i : branch) {
      const Box& box = drawn.layout.boxes[i];
      EXPECT_EQ(box.y, drawn.layout.boxes[branch[0]].y);
      EXPECT_GT(box.y - box.h / 2, lower);
      EXPECT_GT(box.x, drawn.layout.boxes[fan.from].x);
      EXPECT_LT(box.x, drawn.layout.boxes[fan.to].x);
    }
    lower = drawn.layout.boxes[branch[0]].y + drawn.layout.boxes[branch[0]].h / 2;
  }
  EXPECT_EQ(drawn.links(LinkKind::skip), 1);  // of the decoder
  const std::string svg = svg_of(drawn.graph, drawn.image, "a <title> & more");
  for (const char* text :
       {"3×3, rate 2<", "3×3, rate 5<", ">1×1<", ">image pooling<", ">skip<", "a &lt;title&gt; &amp; more"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
}

// Every element that is opened is closed, and attributes are quoted.
TEST(Drawing, IsWellFormed) {
  const Drawn drawn("deeplabv3_resnet50");
  const std::string svg = svg_of(drawn.graph, drawn.image, "deeplabv3_resnet50");
  EXPECT_LT(svg.size(), 60000U);
  std::vector<std::string> open;
  for (size_t begin = svg.find('<'); begin != std::string::npos; begin = svg.find('<', begin + 1)) {
    const size_t end = svg.find('>', begin);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg.substr(begin + 1, end - begin - 1);
    EXPECT_EQ(std::count(tag.begin(), tag.end(), '"') % 2, 0) << tag;
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty()) << tag;
      EXPECT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
}

}  // namespace
}  // namespace pixelwise
