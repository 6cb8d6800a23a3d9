// Shapes, strides and options of the models beyond FCN on VGG16.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/models/registry.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/executor.hpp"

namespace pixelwise {
namespace {

struct Built {
  Graph graph;
  ModelOutputs outputs;

  Built(const std::string& name, const ModelOptions& options, const Shape& image, Phase phase = Phase::inference,
        int64_t classes = 21) {
    Builder builder(graph, phase);
    const ValueId x = builder.input("image", Type::f32, image);
    outputs = build_model(builder, {name, classes, image.c, options}, x);
  }
  Shape scores() const { return graph.at(outputs.scores).shape; }
  int64_t parameters() const {
    int64_t count = 0;
    for (const Value& value : graph.values) count += value.storage == Storage::parameter ? value.shape.count() : 0;
    return count;
  }
};

ModelOptions narrow() {
  ModelOptions options;
  options.width = 1.0 / 16;
  options.head_channels = 8;
  return options;
}

// The sizes on a diagonal, which has every height and every width, are run too; poison: an unpooled pixel that nobody
// wrote would make scores NaN.
TEST(SegNet, TakesEverySize) {
  ModelOptions options;
  options.width = 1.0 / 16;
  for (const char* name : {"segnet", "segnet_basic"}) {
    Parameters parameters;
    const auto arena = std::make_shared<Arena>();
    for (int64_t h = 32; h <= 49; ++h) {
      for (int64_t w = 32; w <= 49; ++w) {
        Built built(name, options, {1, h, w, 3});
        ASSERT_EQ(built.scores(), (Shape{1, h, w, 21})) << name;
        if (h + w != 32 + 49) continue;
        built.graph.at(built.outputs.scores).external = true;
        parameters.ensure(built.graph, 1);
        Executor executor(built.graph, parameters, arena);
        executor.set_poison(true);
        const View image = executor.view("image"), scores = executor.view(built.outputs.scores);
        for (int64_t i = 0; i < image.shape.count(); ++i)
          image.as<float>()[i] = static_cast<float>(Random(1).normal(static_cast<uint64_t>(i)));
        executor.run();
        ASSERT_TRUE(std::all_of(scores.as<float>(), scores.as<float>() + scores.shape.count(),
                                [](float score) { return std::isfinite(score); }))
            << name << ' ' << h << 'x' << w;
      }
    }
  }
}

TEST(SegNet, BayesianHasDropoutThatCanBeKept) {
  ModelOptions options;
  options.width = 1.0 / 16;
  options.bayesian = true;
  const auto dropouts = [&](const char* name, bool keep) {
    Graph graph;
    Builder builder(graph, Phase::inference);
    if (keep) builder.keep_dropout();
    build_model(builder, {name, 21, 3, options}, builder.input("image", Type::f32, {1, 32, 32, 3}));
    int count = 0;
    for (const Node& node : graph.nodes) {
      const auto* dropout = std::get_if<DropoutSpec>(&node.spec);
      count += dropout && dropout->p == 0.5 && dropout->phase == Phase::training;
    }
    return count;
  };
  EXPECT_EQ(dropouts("segnet", true), 6);
  EXPECT_EQ(dropouts("segnet_basic", true), 4);
  EXPECT_EQ(dropouts("segnet", false), 0);
  options.bayesian = false;
  EXPECT_EQ(dropouts("segnet", true), 0);
}

// Counts that torchvision 0.29 gives for its models (21 classes, auxiliary head included).
TEST(Zoo, AsManyParametersAsTorchvision) {
  const std::vector<std::pair<const char*, int64_t>> wanted{{"fcn_resnet50", 35322218},
                                                            {"fcn_resnet101", 54314346},
                                                            {"deeplabv3_resnet50", 42004074},
                                                            {"deeplabv3_resnet101", 60996202}};
  ModelOptions options;
  options.auxiliary = true;
  for (const auto& [name, count] : wanted)
    EXPECT_EQ(Built(name, options, {2, 65, 49, 3}, Phase::training).parameters(), count) << name;
}

// 7 + 4 (pool), then 2 x stride for every 3x3: 3 at 4; 1 at 4, 3 at 8; 1 at 8, 5 at 16; 1 at 16, 2 at 32. Shortcuts see
// less, and do not count. (distill.pub/2019/computing-receptive-fields has 483 for the first version, whose 1x1
// stride.)
TEST(Zoo, ReceptiveFieldOfResNet50ByHand) {
  ModelOptions options = narrow();
  options.head_channels = ModelOptions{}.head_channels;
  options.output_stride = 32;
  const Built built("fcn_resnet50", options, {1, 65, 65, 3});
  double field = 0;
  for (const Node& node : built.graph.nodes) {
    if (node.name.starts_with("backbone.")) field = built.graph.at(node.dst[0].value).geometry.h.field;
  }
  EXPECT_EQ(field, 7 + 4 + 3 * 8 + 8 + 3 * 16 + 16 + 5 * 32 + 32 + 2 * 64);
}

TEST(Zoo, ScoresEveryPixelAtEveryOutputStride) {
  for (const char* name : {"fcn_resnet34", "fcn_mobilenet_v2", "fcn_xception65", "deeplabv3_mobilenet_v2",
                           "deeplabv3_resnet101", "deeplabv3plus_resnet50", "deeplabv3plus_xception65"}) {
    for (const int64_t stride : {8, 16, 32}) {
      ModelOptions options = narrow();
      if (std::string(name).starts_with("fcn_")) options.head_channels = ModelOptions{}.head_channels;
      options.output_stride = stride;
      const Built built(name, options, {1, 65, 49, 3});
      EXPECT_EQ(built.scores(), (Shape{1, 65, 49, 21})) << name;
      double coarsest = 0;  // of the map that the backbone ends with
      for (const Node& node : built.graph.nodes) {
        const Value& value = built.graph.at(node.dst[0].value);
        if (node.name.starts_with("backbone.")) coarsest = std::max(coarsest, value.geometry.h.stride);
      }
      EXPECT_EQ(coarsest, static_cast<double>(stride)) << name;
    }
  }
}

TEST(Zoo, EveryModelTakesAPhotoOfOnePixel) {
  for (const ModelEntry& entry : model_registry())
    EXPECT_EQ(Built(entry.name, {}, {1, 1, 1, 3}).scores(), (Shape{1, 1, 1, 21})) << entry.name;
}

// Batch norm cannot train on one value: the message tells where, and what to do.
TEST(Zoo, TrainingOnTooSmallACropIsRefused) {
  try {
    Built("deeplabv3plus_resnet50", narrow(), {1, 8, 8, 3}, Phase::training);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()),
              "node 'backbone.layer2.0.bn2': training normalises over one value a channel (a map of 1x1x1x8): use a "
              "larger batch or crop");
  }
}

TEST(Zoo, RefusesAnOutputStrideThatNoBackboneHas) {
  ModelOptions options = narrow();
  options.output_stride = 12;
  try {
    Built("deeplabv3_resnet50", options, {1, 65, 49, 3});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()), "model.options.output_stride is 12; wanted 8, 16 or 32");
  }
}

// Rates 6, 12, 18 at output stride 16: a photo of 65x49 has a map of 5x4.
TEST(DeepLab, RatesOutsideTheMapAreNamed) {
  const auto warnings = [](const Shape& image) {
    return warnings_of(Built("deeplabv3plus_mobilenet_v2", narrow(), image).graph);
  };
  const std::vector<std::string> small = warnings({1, 65, 49, 3});
  ASSERT_EQ(small.size(), 3u);
  EXPECT_TRUE(small[1].starts_with("node 'classifier.aspp.convs.2.0': its rate 12 lies wholly outside its map of 5x4"))
      << small[1];
  EXPECT_EQ(warnings({1, 97, 97, 3}).size(), 2u);  // a map of 7x7
  EXPECT_EQ(warnings({1, 97, 193, 3}).size(), 1u) << "7x13: rate 12 still sees to the left and to the right";
  EXPECT_TRUE(warnings({1, 321, 321, 3}).empty());
}

TEST(DeepLab, WithoutBatchNormConvolutionsHaveABias) {
  ModelOptions options = narrow();
  options.batch_norm = false;
  for (const char* name : {"fcn_resnet18", "deeplabv3_mobilenet_v2", "deeplabv3plus_xception65"}) {
    if (name[0] == 'f') options.head_channels = ModelOptions{}.head_channels;
    const Built built(name, options, {2, 65, 49, 3}, Phase::training);
    for (const Node& node : built.graph.nodes) {
      EXPECT_FALSE(std::holds_alternative<BatchNormSpec>(node.spec)) << name << ' ' << node.name;
      const auto* conv = std::get_if<Conv2dSpec>(&node.spec);
      if (conv) {
        EXPECT_TRUE(conv->bias) << name << ' ' << node.name;
      }
    }
    options.head_channels = narrow().head_channels;
  }
}

// Google's widths below 1 are no multiples of 8: the 688,357 values of its model of width 0.5 for VOC.
TEST(DeepLab, GooglesNarrowNetwork) {
  ModelOptions options = narrow();
  options.width = 0.5;
  options.head_channels = 256;
  options.channel_multiple = 1;
  options.rates = std::vector<int64_t>{};
  options.head_conv = options.batch_norm = false;
  EXPECT_EQ(Built("deeplabv3_mobilenet_v2", options, {1, 65, 49, 3}).parameters(), 688357);
}

TEST(DeepLab, TrainsOnOnePhoto) {
  for (const char* choice : {"batch", "running", "unnormalised", "none"}) {
    ModelOptions options = narrow();
    options.image_pooling = choice;
    const Built built("deeplabv3plus_mobilenet_v2", options, {1, 65, 49, 3}, Phase::training);
    for (const Node& node : built.graph.nodes) {
      const auto* norm = std::get_if<BatchNormSpec>(&node.spec);
      const bool one_value = built.graph.at(node.dst[0].value).shape.pixels() == 1;
      if (norm && one_value) {
        EXPECT_EQ(norm->phase, Phase::inference) << choice << ' ' << node.name;
      }
    }
  }
}

}  // namespace
}  // namespace pixelwise
