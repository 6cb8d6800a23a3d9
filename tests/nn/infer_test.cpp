// What an operator refuses as the graph is built: the error names the node, what was given, what was wanted, and what
// to do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/builder.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

struct Refused {
  const char* what;
  std::function<void(Builder&, ValueId x, ValueId ids)> build;  ///< a node "op" over x f32 2x8x9x6, ids u8 2x8x9x1
  std::vector<const char*> parts;                               ///< of the message, besides the node
};

ConvTranspose2dSpec up(int64_t pad) { return {4, {2, 2}, {2, 2}, {pad, pad}}; }

const Refused refused[] = {
    {"groups",
     [](Builder& b, ValueId x, ValueId) {
       b.conv2d(x, "op", {8, {3, 3}, {1, 1}, {0, 0}, {1, 1}, 4});
     },
     {"4 groups", "6 input channels", "use a number that does"}},
    {"groups of the output",
     [](Builder& b, ValueId x, ValueId) {
       b.conv2d(x, "op", {8, {3, 3}, {1, 1}, {0, 0}, {1, 1}, 3});
     },
     {"3 groups", "6 input and 8 output channels", "use a number that does"}},
    {"no output channels", [](Builder& b, ValueId x, ValueId) { b.conv2d(x, "op", {}); }, {"0 output", "at least 1"}},
    {"too large a kernel",
     [](Builder& b, ValueId x, ValueId) {
       b.conv2d(x, "op", {4, {3, 3}, {1, 1}, {0, 0}, {5, 5}});
     },
     {"8x9", "3x3", "dilation 5x5", "larger input or more padding"}},
    {"a convolution that stands still",
     [](Builder& b, ValueId x, ValueId) {
       b.conv2d(x, "op", {4, {3, 3}, {0, 1}});
     },
     {"stride 0x1", "at least 1"}},
    {"negative dilation",
     [](Builder& b, ValueId x, ValueId) {
       b.conv2d(x, "op", {4, {3, 3}, {1, 1}, {0, 0}, {1, -1}});
     },
     {"dilation 1x-1", "at least 1"}},
    {"weights of another shape",
     [](Builder& b, ValueId x, ValueId) {
       const ValueId w = b.parameter("w", {4, 3, 3, 5}, Init::zeros, Layout::oihw);
       b.node("op", Conv2dSpec{4, {3, 3}, {1, 1}, {0, 0}, {1, 1}, 1, false}, {x}, {w});
     },
     {"weights are 4x3x3x5", "wanted 4x3x3x6"}},
    {"transposed convolution, groups",
     [](Builder& b, ValueId x, ValueId) {
       b.conv_transpose2d(x, "op", {4, {3, 3}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, 5});
     },
     {"5 groups", "6 input channels", "use a number that does"}},
    {"transposed convolution, all cropped away",
     [](Builder& b, ValueId x, ValueId) { b.conv_transpose2d(x, "op", up(8)); },
     {"8x9", "pad 8x8", "less padding"}},
    {"transposed convolution, no stride",
     [](Builder& b, ValueId x, ValueId) {
       b.conv_transpose2d(x, "op", {4, {2, 2}, {0, 0}});
     },
     {"stride 0x0", "at least 1"}},
    {"max pooling, stride",
     [](Builder& b, ValueId x, ValueId) {
       b.max_pool2d(x, "op", {{2, 2}, {0, 2}});
     },
     {"stride 0x2", "at least 1"}},
    {"max pooling, pad",
     [](Builder& b, ValueId x, ValueId) {
       b.max_pool2d(x, "op", {{2, 2}, {2, 2}, {2, 2}});
     },
     {"pad 2x2", "half of the window 2x2", "less padding"}},
    {"max pooling, window",
     [](Builder& b, ValueId x, ValueId) {
       b.max_pool2d(x, "op", {{17, 17}, {1, 1}, {8, 8}});
     },
     {"17x17", "256", "smaller"}},
    {"max pooling, map",
     [](Builder& b, ValueId x, ValueId) {
       b.max_pool2d(x, "op", {{9, 2}, {2, 2}});
     },
     {"8x9", "9x2", "larger input"}},
    {"average pooling, map",
     [](Builder& b, ValueId x, ValueId) {
       b.avg_pool2d(x, "op", {{9, 2}, {2, 2}});
     },
     {"8x9", "9x2", "larger input"}},
    {"unpooling, indices",
     [](Builder& b, ValueId x, ValueId ids) {
       b.max_unpool2d({x, ids}, x, "op", {{2, 2}, {2, 2}, {0, 0}, {16, 18}});
     },
     {"u8 2x8x9x1", "wanted u8 2x8x9x6", "the pooling that made"}},
    {"unpooling, size",
     [](Builder& b, ValueId x, ValueId) {
       const Builder::Pooled pooled = b.max_pool2d(x, "pool", {});
       b.max_unpool2d(pooled, pooled.map, "op", {{2, 2}, {2, 2}, {0, 0}, {20, 9}});
     },
     {"20x9", "4x4", "`size` must be"}},
    {"batch norm, vectors",
     [](Builder& b, ValueId x, ValueId) {
       const ValueId w = b.parameter("w", {1, 1, 1, 5}, Init::ones, Layout::vector);
       b.node("op", BatchNormSpec{}, {x}, {w, w, w, w});
     },
     {"'w' is 1x1x1x5", "wanted 1x1x1x6"}},
    {"batch norm over one value",
     [](Builder& b, ValueId, ValueId) {
       b.batch_norm(b.input("pixel", Type::f32, {1, 1, 1, 6}), "op");
     },
     {"one value a channel", "1x1x1x6", "larger batch or crop"}},
    {"dropout", [](Builder& b, ValueId x, ValueId) { b.dropout(x, "op", 1); }, {"probability 1", "[0, 1)"}},
    {"add",
     [](Builder& b, ValueId x, ValueId) {
       b.add({x, b.crop(x, "part", {0, 0, {8, 8}})}, "op");
     },
     {"'part' f32 2x8x8x6", "'x' f32 2x8x9x6", "crop, resize or cast"}},
    {"add, types",
     [](Builder& b, ValueId x, ValueId) {
       b.add({x, b.cast(x, "half", Type::bf16)}, "op");
     },
     {"'half' bf16", "'x' f32", "cast"}},
    {"concat",
     [](Builder& b, ValueId x, ValueId) {
       b.concat({x, b.crop(x, "part", {0, 0, {8, 8}})}, "op");
     },
     {"'part' f32 2x8x8x6", "'x' f32 2x8x9x6", "crop, resize or cast"}},
    {"concat, types",
     [](Builder& b, ValueId x, ValueId ids) {
       b.concat({x, ids}, "op");
     },
     {"'ids' u8", "'x' f32", "cast"}},
    {"crop",
     [](Builder& b, ValueId x, ValueId) {
       b.crop(x, "op", {1, 0, {8, 9}});
     },
     {"8x9 at (1, 0)", "map of 8x9", "shrink"}},
    {"crop to another stride",
     [](Builder& b, ValueId x, ValueId) { b.crop_like(x, b.max_pool2d(x, "pool", {}).map, "op"); },
     {"stride 1", "stride 2"}},
    {"crop between pixels",
     [](Builder& b, ValueId x, ValueId) {
       b.crop_like(b.conv2d(x, "conv", {4, {2, 2}}), x, "op");
     },
     {"pixel -0.5", "whole number", "change the padding"}},
    {"pad",
     [](Builder& b, ValueId x, ValueId) {
       b.pad(x, "op", {0, -1, 0, 0});
     },
     {"0, -1, 0, 0", "use crop"}},
    {"resize",
     [](Builder& b, ValueId x, ValueId) {
       b.resize(x, "op", {{0, 4}});
     },
     {"0x4", "at least 1x1"}},
    {"argmax",
     [](Builder& b, ValueId, ValueId) {
       b.argmax(b.input("wide", Type::f32, {1, 2, 2, 300}), "op");
     },
     {"300 channels", "at most 256"}},
    {"one_hot of a map",
     [](Builder& b, ValueId x, ValueId) { b.one_hot(x, "op", {6}); },
     {"f32 2x8x9x6", "wanted u8 with one channel"}},
    {"one_hot, classes",
     [](Builder& b, ValueId, ValueId ids) { b.one_hot(ids, "op", {0}); },
     {"0 classes", "1 to 256"}},
    {"loss, targets",
     [](Builder& b, ValueId x, ValueId ids) {
       b.softmax_cross_entropy(b.resize(x, "half", {{4, 4}}), ids, "op", {});
     },
     {"u8 2x8x9x1", "2x4x4x6", "u8 2x4x4x1", "resize or crop"}},
    {"loss, denominator",
     [](Builder& b, ValueId x, ValueId ids) {
       SoftmaxCrossEntropySpec spec;
       spec.shared_denominator = true;
       b.node("op", spec, {x, ids});
     },
     {"shared_denominator", "one number", "give the value"}},
    {"weighted sum of maps",
     [](Builder& b, ValueId x, ValueId) {
       b.weighted_sum({x, x}, {1, 1}, "op");
     },
     {"'x' is 2x8x9x6", "one number", "use add"}},
    {"weighted sum, factors",
     [](Builder& b, ValueId x, ValueId) {
       b.weighted_sum({x, x}, {1}, "op");
     },
     {"2 scalars and 1 factors", "equally many"}},
};

TEST(Infer, ErrorsNameNodeGivenWantedAndRemedy) {
  for (const Refused& one : refused) {
    SCOPED_TRACE(one.what);
    Graph graph;
    Builder b(graph, Phase::training);
    const ValueId x = b.input("x", Type::f32, {2, 8, 9, 6}), ids = b.input("ids", Type::u8, {2, 8, 9, 1});
    try {
      one.build(b, x, ids);
      ADD_FAILURE() << "was accepted";
    } catch (const UsageError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find("node 'op': "), 0u) << message;
      for (const char* part : one.parts) EXPECT_NE(message.find(part), std::string::npos) << message << " | " << part;
    }
  }
}

// An operator that takes any map gives a map of the same shape.
TEST(Infer, ShapesByHand) {
  Graph graph;
  Builder b(graph, Phase::training);
  const ValueId x = b.input("x", Type::f32, {2, 8, 9, 6}), ids = b.input("ids", Type::u8, {2, 8, 9, 1});
  const auto shape = [&](ValueId id) { return b.at(id).shape; };
  EXPECT_EQ(shape(b.conv2d(x, "conv", {4, {3, 5}, {2, 1}, {1, 2}, {1, 2}})), (Shape{2, 4, 5, 4}));
  EXPECT_EQ(shape(b.conv_transpose2d(x, "up", {4, {3, 4}, {2, 3}, {1, 0}, {1, 2}, {2, 1}})), (Shape{2, 18, 30, 4}));
  EXPECT_EQ(shape(b.max_pool2d(x, "floor", {}).indices), (Shape{2, 4, 4, 6}));
  EXPECT_EQ(shape(b.max_pool2d(x, "ceil", {{2, 2}, {2, 2}, {0, 0}, true}).map), (Shape{2, 4, 5, 6}));
  EXPECT_EQ(shape(b.avg_pool2d(x, "avg", {{3, 3}, {2, 2}, {1, 1}, true})), (Shape{2, 5, 5, 6}));
  EXPECT_EQ(shape(b.global_avg_pool(x, "global")), (Shape{2, 1, 1, 6}));
  EXPECT_EQ(shape(b.concat({x, x, x}, "concat")), (Shape{2, 8, 9, 18}));
  EXPECT_EQ(shape(b.pad(x, "pad", {1, 2, 3, 4})), (Shape{2, 11, 16, 6}));
  EXPECT_EQ(shape(b.argmax(x, "argmax")), (Shape{2, 8, 9, 1}));
  EXPECT_EQ(shape(b.one_hot(ids, "planes", {21})), (Shape{2, 8, 9, 21}));
  EXPECT_EQ(shape(b.softmax_cross_entropy(x, ids, "loss", {})), (Shape{1, 1, 1, 1}));
  for (const ValueId same : {b.batch_norm(x, "norm"), b.relu6(x, "relu6"), b.dropout(x, "drop", 0.5),
                             b.add({x, x}, "add"), b.softmax(x, "softmax")})
    EXPECT_EQ(shape(same), shape(x)) << b.at(same).name;
  EXPECT_EQ(b.at(b.cast(x, "half", Type::bf16)).type, Type::bf16);
}

// A multiplication and an addition are two operations; taps on the padding count too.
TEST(Infer, CostsByHand) {
  Graph graph;
  Builder b(graph, Phase::training);
  const ValueId x = b.input("x", Type::f32, {2, 8, 9, 6}), ids = b.input("ids", Type::u8, {2, 8, 9, 1});
  const auto cost = [&](ValueId dst) {
    const auto makes_dst = [&](const Node& node) { return node.dst[0].value == dst; };
    return cost_of(graph, *std::find_if(graph.nodes.begin(), graph.nodes.end(), makes_dst));
  };
  const ValueId conv = b.conv2d(x, "conv", {4, {3, 3}, {1, 1}, {1, 1}});
  EXPECT_EQ(cost(conv).flops, 2 * (2 * 8 * 9) * (3 * 3 * 6) * 4);
  EXPECT_EQ(cost(conv).bytes, 4 * (144 * 6 + 144 * 4 + 3 * 3 * 6 * 4 + 4));
  EXPECT_EQ(cost(b.conv2d(x, "stride", {4, {5, 3}, {2, 3}, {2, 0}, {1, 2}})).flops, 2 * (2 * 4 * 2) * (5 * 3 * 6) * 4);
  EXPECT_EQ(cost(b.conv2d(x, "groups", {9, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 3})).flops, 2 * 144 * (3 * 3 * 2) * 9);
  EXPECT_EQ(cost(b.conv2d(x, "depthwise", {6, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 6})).flops, 2 * 144 * (3 * 3) * 6);
  EXPECT_EQ(cost(b.conv_transpose2d(x, "up", {5, {4, 4}, {2, 2}, {1, 1}})).flops, 2 * 144 * (4 * 4 * 6) * 5);
  EXPECT_EQ(cost(b.max_pool2d(x, "max", {}).map).flops, (2 * 4 * 4 * 6) * 4);
  EXPECT_EQ(cost(b.avg_pool2d(x, "avg", {{3, 3}, {2, 2}, {1, 1}})).flops, (2 * 4 * 5 * 6) * 9);
  for (const ValueId once : {b.add({x, x}, "add"), b.relu(x, "relu"), b.global_avg_pool(x, "global")})
    EXPECT_EQ(cost(once).flops, 144 * 6) << b.at(once).name;
  EXPECT_EQ(cost(b.relu(x, "bytes")).bytes, 2 * 4 * 144 * 6);
  EXPECT_EQ(cost(b.concat({x, x}, "concat")).flops, 0);

  // Both backward passes of a convolution are the work of the forward pass.
  const ValueId again = b.conv2d(conv, "again", {5, {3, 3}, {1, 1}, {1, 1}});
  differentiate(graph, b.softmax_cross_entropy(again, ids, "loss", {}));
  size_t passes = 0;
  for (const Node& node : graph.nodes) {
    if (!node.name.starts_with("again.backward")) continue;
    EXPECT_EQ(cost_of(graph, node).flops, cost(again).flops) << node.name;
    ++passes;
  }
  EXPECT_EQ(passes, 2U);
}

// From bf16 to bf16: nothing on the way takes an element for a float.
TEST(Infer, HalfPrecisionMapsRun) {
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId x = b.input("x", Type::f32, {1, 4, 4, 2});
  const ValueId half = b.relu(b.cast(x, "half", Type::bf16), "relu");
  const ValueId back = b.cast(b.max_pool2d(half, "pool", {}).map, "back", Type::f32);
  b.mark_external(back);
  EXPECT_EQ(b.at(half).type, Type::bf16);
  Parameters parameters;
  Executor executor(graph, parameters, std::make_shared<Arena>());
  executor.set_poison(true);
  const View in = executor.view(x), out = executor.view(back);
  for (int64_t i = 0; i < in.shape.count(); ++i) in.as<float>()[i] = static_cast<float>((i * 37) % 64 - 48) / 4;
  executor.run();
  for (int64_t y = 0; y < 2; ++y) {
    for (int64_t column = 0; column < 2; ++column) {
      for (int64_t c = 0; c < 2; ++c) {
        float largest = 0;  // ReLU; quarters below 16 are whole in bf16
        for (const int64_t dy : {0, 1})
          for (const int64_t dx : {0, 1}) largest = std::max(largest, in.at<float>(0, 2 * y + dy, 2 * column + dx)[c]);
        EXPECT_EQ(out.at<float>(0, y, column)[c], largest);
      }
    }
  }
}

// Integers are truncated, and what they cannot hold is clamped.
TEST(Infer, CastToBytesClamps) {
  Graph graph;
  Builder b(graph, Phase::inference);
  const ValueId x = b.input("x", Type::f32, {1, 1, 8, 1});
  const ValueId bytes = b.cast(x, "bytes", Type::u8);
  b.mark_external(bytes);
  Parameters parameters;
  Executor executor(graph, parameters, std::make_shared<Arena>());
  const float given[] = {-1e30f, -1, -0.5f, 0.9f, 254.9f, 256, 1e30f, NAN};
  std::copy_n(given, 8, executor.view(x).as<float>());
  executor.run();
  const uint8_t* got = executor.view(bytes).as<uint8_t>();
  EXPECT_EQ(std::vector<int>(got, got + 8), (std::vector<int>{0, 0, 0, 0, 254, 255, 255, 0}));
}

}  // namespace
}  // namespace pixelwise
