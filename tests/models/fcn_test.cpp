// The numbers that the FCN paper (Long, Shelhamer, Darrell 2015) and its authors' models give; here they are derived.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "pixelwise/core/rng.hpp"
#include "pixelwise/models/registry.hpp"
#include "pixelwise/nn/executor.hpp"

namespace pixelwise {
namespace {

struct Built {
  Graph graph;
  ValueId scores = no_value;

  Built(const std::string& name, const ModelOptions& options, const Shape& image) {
    Builder builder(graph, Phase::inference);
    const ValueId x = builder.input("image", Type::f32, image);
    scores = build_model(builder, {name, 21, image.c, options}, x).scores;
  }
  // Offset of every crop, by node.
  std::map<std::string, int64_t> crops() const {
    std::map<std::string, int64_t> result;
    for (const Node& node : graph.nodes) {
      const auto* crop = std::get_if<CropSpec>(&node.spec);
      if (!crop) continue;
      EXPECT_EQ(crop->top, crop->left) << node.name;
      result[node.name] = crop->top;
    }
    return result;
  }
};

TEST(Fcn, CropOffsetsOfTheAuthorsModels) {
  using Crops = std::map<std::string, int64_t>;
  ModelOptions options;
  options.padding = "published";
  for (const Shape& image : {Shape{1, 64, 96, 3}, {1, 75, 101, 3}}) {
    EXPECT_EQ(Built("fcn32s_vgg16", options, image).crops(), (Crops{{"scores.crop", 19}}));
    EXPECT_EQ(Built("fcn16s_vgg16", options, image).crops(),
              (Crops{{"classifier.score_pool4.crop", 5}, {"scores.crop", 27}}));
    EXPECT_EQ(Built("fcn8s_vgg16", options, image).crops(),
              (Crops{{"classifier.score_pool4.crop", 5}, {"classifier.score_pool3.crop", 9}, {"scores.crop", 31}}));
  }
}

// "FCN-VGG16: parameters 134M, rf size 404, max stride 32"
TEST(Fcn, Table1) {
  ModelOptions options;
  options.padding = "published";
  options.upsampling = "fixed";
  const Built fcn("fcn32s_vgg16", options, {1, 64, 64, 3});
  int64_t parameters = 0;
  for (const Value& value : fcn.graph.values) {
    if (value.storage == Storage::parameter && !value.frozen) parameters += value.shape.count();
  }
  EXPECT_EQ(parameters, 134346581);  // VGG16 without its last layer, and 21 x (4096 + 1)
  const Geometry geometry = fcn.graph.at(fcn.graph.find("classifier.score_fr")).geometry.h;
  EXPECT_EQ(geometry.field, 404);
  EXPECT_EQ(geometry.stride, 32);
}

// The scores of a network on a picture of random numbers, with seeded weights everywhere.
std::vector<float> scores_of(const ModelOptions& options, double pool4, double pool3) {
  const Built fcn("fcn8s_vgg16_bn", options, {1, 48, 32, 3});
  Parameters parameters;
  parameters.ensure(fcn.graph, 1);
  for (Parameter* p : parameters.all()) {
    const double factor = p->name == "classifier.score_pool4.weight"   ? pool4
                          : p->name == "classifier.score_pool3.weight" ? pool3
                                                                       : 1;
    if (p->name.find("score_") == std::string::npos) continue;
    for (int64_t i = 0; i < p->shape.count(); ++i)
      p->view().as<float>()[i] = static_cast<float>(factor * Random(7, p->name).normal(static_cast<uint64_t>(i)));
  }
  Graph graph = fcn.graph;
  graph.at(fcn.scores).external = true;
  Executor executor(std::move(graph), parameters, std::make_shared<Arena>());
  const View image = executor.view("image");
  for (int64_t i = 0; i < image.shape.count(); ++i)
    image.as<float>()[i] = static_cast<float>(Random(3).normal(static_cast<uint64_t>(i)));
  executor.run();
  const View scores = executor.view(fcn.scores);
  return {scores.as<float>(), scores.as<float>() + scores.shape.count()};
}

TEST(Fcn, AtOnceScalesTheFinerMaps) {
  ModelOptions staged, at_once;
  staged.width = at_once.width = 0.125;
  at_once.at_once = true;
  const std::vector<float> wanted = scores_of(staged, 0.01, 0.0001), given = scores_of(at_once, 1, 1);
  float largest = 0;
  for (const float score : wanted) largest = std::max(largest, std::abs(score));
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(given[i], wanted[i], 1e-5F * largest) << i;
  EXPECT_NE(scores_of(staged, 1, 1), wanted);
}

TEST(Fcn, ScoresEveryPixelOfAnySize) {
  for (const char* name : {"fcn32s_vgg16", "fcn16s_vgg16_bn", "fcn8s_vgg16"}) {
    for (const char* padding : {"same", "published"}) {
      for (const Shape& image : {Shape{2, 33, 47, 3}, {1, 97, 65, 1}, {1, 40, 40, 5}, {1, 1, 1, 3}}) {
        ModelOptions options;
        options.padding = padding;
        options.width = 0.125;
        const Built fcn(name, options, image);
        EXPECT_EQ(fcn.graph.at(fcn.scores).shape, (Shape{image.n, image.h, image.w, 21})) << name << padding;
        const Geometry2d pixels = fcn.graph.at(fcn.scores).geometry;
        EXPECT_EQ(pixels.h.stride, 1);
        EXPECT_EQ(pixels.w.offset, 0);  // a score lies on its pixel
      }
    }
  }
}

// Sizes that no stride divides, grey pictures too: every pixel gets a score that is a number.
TEST(SlowFcn, RunsAtOddSizes) {
  for (const char* name :
       {"fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16", "fcn32s_vgg16_bn", "fcn16s_vgg16_bn", "fcn8s_vgg16_bn"}) {
    for (const char* padding : {"same", "published"}) {
      for (const Shape& shape : {Shape{1, 65, 49, 3}, {1, 97, 131, 1}}) {
        SCOPED_TRACE(name + std::string(" ") + padding + " " + to_string(shape));
        ModelOptions options;
        options.padding = padding;
        options.width = 1.0 / 32;
        options.fc_channels = 8;
        Built fcn(name, options, shape);
        fcn.graph.at(fcn.scores).external = true;
        Parameters parameters;
        parameters.ensure(fcn.graph, 1);
        for (Parameter* p : parameters.all()) {  // class c scores c + 1 everywhere
          if (!p->name.starts_with("classifier.score_") || !p->name.ends_with(".weight")) continue;
          std::fill_n(p->view().as<float>(), p->shape.count(), 0.0F);
        }
        for (int64_t c = 0; c < 21; ++c)
          parameters.at("classifier.score_fr.bias").view().as<float>()[c] = static_cast<float>(c + 1);
        Executor executor(fcn.graph, parameters, std::make_shared<Arena>());
        const View image = executor.view("image");
        std::fill_n(image.as<float>(), shape.count(), 1.0F);
        executor.run();
        const View scores = executor.view(fcn.scores);
        ASSERT_EQ(scores.shape, (Shape{1, shape.h, shape.w, 21}));
        for (int64_t i = 0; i < scores.shape.count(); ++i) ASSERT_TRUE(std::isfinite(scores.as<float>()[i])) << i;
        const float* middle = scores.at<float>(0, shape.h / 2, shape.w / 2);
        EXPECT_GT(middle[0], 0.5);
        for (int64_t c = 1; c < 21; ++c) EXPECT_NEAR(middle[c], (c + 1) * middle[0], 1e-3);
      }
    }
  }
}

// Section 4.3: upsampling inside the net is learned, or stays bilinear.
TEST(Fcn, UpsamplingIsLearnedOrFixed) {
  for (const char* upsampling : {"learned", "fixed"}) {
    ModelOptions options;
    options.upsampling = upsampling;
    const Built fcn("fcn8s_vgg16", options, {1, 32, 32, 3});
    for (const char* name : {"upscore2", "upscore_pool4", "upscore8"}) {
      const Value& weights = fcn.graph.at(fcn.graph.find("classifier." + std::string(name) + ".weight"));
      EXPECT_EQ(weights.frozen, upsampling == std::string("fixed")) << name;
      EXPECT_EQ(weights.init, Init::bilinear) << name;
    }
  }
}

}  // namespace
}  // namespace pixelwise
