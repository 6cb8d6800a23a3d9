// Which backward nodes are appended, how gradients of several readers meet, and that a whole network's gradients are
// those of finite differences.
#include "pixelwise/nn/differentiate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "nn/small_net.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/executor.hpp"

namespace pixelwise {
namespace {

using Names = std::vector<std::string>;

// conv1 - relu1 - conv2 - relu2 - (+ relu1) - up - loss, and an argmax that nobody learns from.
struct SkipNet {
  Graph graph;
  ValueId image, labels, loss;

  SkipNet() {
    Builder b(graph, Phase::training, Type::f64);
    image = b.input("image", Type::f64, {1, 4, 6, 3});
    labels = b.input("labels", Type::u8, {1, 8, 12, 1});
    const ValueId first = b.relu(b.conv2d(image, "conv1", {4, {1, 1}}), "relu1");
    const ValueId second = b.relu(b.conv2d(first, "conv2", {4, {1, 1}}), "relu2");
    ConvTranspose2dSpec up{4, {2, 2}, {2, 2}};
    up.bias = false;
    const ValueId scores = b.conv_transpose2d(b.add({first, second}, "sum"), "up", up, Init::bilinear, true);
    b.mark_external(b.argmax(scores, "prediction"));
    loss = b.softmax_cross_entropy(scores, labels, "loss", {});
  }
  void freeze(const std::string& layer) {
    for (const char* part : {".weight", ".bias"}) graph.at(graph.find(layer + part)).frozen = true;
  }
  Names backward_nodes() const {
    Names names;
    for (const Node& node : graph.nodes) {
      if (node.pass != Pass::forward) names.push_back(node.name);
    }
    return names;
  }
  // How the nodes write the gradient of a value, in order.
  std::vector<Accumulate> modes(const std::string& name) const {
    std::vector<Accumulate> result;
    const ValueId gradient = graph.at(graph.find(name)).gradient;
    for (const Node& node : graph.nodes) {
      for (const Output& output : node.dst) {
        if (output.value == gradient) result.push_back(output.mode);
      }
    }
    return result;
  }
};

TEST(Differentiate, AppendsWhatTheTrainedParametersNeed) {
  SkipNet net;
  differentiate(net.graph, net.loss);
  EXPECT_EQ(net.backward_nodes(),
            (Names{"loss.backward", "up.backward_data", "sum.backward", "relu2.backward", "conv2.backward_weights",
                   "conv2.backward_data", "relu1.backward", "conv1.backward_weights"}));
  EXPECT_EQ(net.graph.forward_nodes, 8);
  for (const char* none : {"image", "up.weight", "prediction"})
    EXPECT_EQ(net.graph.at(net.graph.find(none)).gradient, no_value) << none;
}

TEST(Differentiate, SumsTheGradientsOfSeveralReaders) {
  SkipNet net;
  differentiate(net.graph, net.loss);
  EXPECT_EQ(net.modes("relu1"), (std::vector<Accumulate>{Accumulate::write, Accumulate::add}));
  EXPECT_EQ(net.modes("relu2"), std::vector<Accumulate>{Accumulate::write});
  EXPECT_EQ(net.graph.at(net.graph.find("relu1")).gradient, net.graph.at(net.graph.find("sum")).gradient)
      << "the first term of a sum has the sum's gradient";
  EXPECT_EQ(net.modes("conv2.weight"), std::vector<Accumulate>{Accumulate::add_after_first});
}

TEST(Differentiate, FrozenLayersCostNothing) {
  SkipNet net;
  net.freeze("conv1");
  differentiate(net.graph, net.loss);
  EXPECT_EQ(net.backward_nodes(),
            (Names{"loss.backward", "up.backward_data", "relu2.backward", "conv2.backward_weights"}));
  EXPECT_EQ(net.graph.at(net.graph.find("conv1.weight")).gradient, no_value);
  SkipNet all;
  all.freeze("conv1");
  all.freeze("conv2");
  differentiate(all.graph, all.loss);
  EXPECT_EQ(all.backward_nodes(), Names{}) << "nothing is trained";
}

TEST(Differentiate, GivesTheGradientOfTheImageWhereAsked) {
  SkipNet net;
  differentiate(net.graph, net.loss, {net.image});
  EXPECT_EQ(net.backward_nodes().back(), "conv1.backward_data");
  const ValueId gradient = net.graph.at(net.image).gradient;
  ASSERT_NE(gradient, no_value);
  EXPECT_TRUE(net.graph.at(gradient).external);
  EXPECT_EQ(net.graph.at(gradient).shape, net.graph.at(net.image).shape);
}

TEST(Differentiate, RefusesALossOfManyNumbers) {
  SkipNet net;
  try {
    differentiate(net.graph, net.graph.find("sum"));
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("'sum' of shape 1x4x6x4: a loss is one number"), std::string::npos)
        << error.what();
  }
}

// An encoder with batch norm and pooling, a skip that is concatenated, one that is added, and both kinds of upsampling.
struct WholeNet {
  Graph graph;
  Parameters parameters;
  ValueId loss;
  std::unique_ptr<Executor> executor;

  explicit WholeNet(bool fused) {
    Builder b(graph, Phase::training, Type::f64);
    const ValueId image = b.input("image", Type::f64, {2, 9, 7, 3});
    const ValueId labels = b.input("labels", Type::u8, {2, 9, 7, 1});
    const Conv2dSpec wide{4, {3, 3}, {1, 1}, {1, 1}}, atrous{5, {3, 3}, {1, 1}, {2, 2}, {2, 2}};
    const ValueId fine = b.relu(b.batch_norm(b.conv2d(image, "conv1", wide), "norm1"), "relu1");
    const ValueId half = b.max_pool2d(fine, "pool1", {{2, 2}, {2, 2}, {0, 0}, true}).map;
    const ValueId deep = b.relu6(b.batch_norm(b.conv2d(half, "conv2", atrous), "norm2"), "relu2");
    const ValueId quarter = b.avg_pool2d(deep, "pool2", {{2, 2}, {2, 2}, {0, 0}, true});
    const ValueId back = b.resize(quarter, "resize", {{5, 4}});
    const ValueId both = b.concat({half, b.relu(b.add({deep, back}, "add"), "relu3")}, "concat");
    const ValueId up = b.conv_transpose2d(both, "up", {5, {4, 4}, {2, 2}, {1, 1}}, Init::kaiming_normal);
    const ValueId scores = b.add({b.crop_like(up, image, "crop"), b.conv2d(fine, "skip", {5, {1, 1}})}, "scores");
    loss = b.softmax_cross_entropy(scores, labels, "loss", {});
    if (fused) fuse(graph);
    differentiate(graph, loss);
    parameters.ensure(graph, 1);
    executor = std::make_unique<Executor>(graph, parameters, std::make_shared<Arena>());
    executor->set_poison(true);
    fill_normal(executor->view(image), 1);
    fill_labels(executor->view(labels), 1);
  }
  double value() {
    executor->run(Range{0, graph.forward_nodes});
    return *executor->view(loss).as<double>();
  }
};

TEST(Differentiate, WholeNetworkAgreesWithFiniteDifferences) {
  std::map<std::string, double> unfused;  // <gradient, direction>
  for (const bool fused : {false, true}) {
    WholeNet net(fused);
    net.executor->run();
    for (Parameter* p : net.parameters.all()) {
      if (!p->trained) continue;
      const View gradient = net.executor->view("diff." + p->name);
      const Random random(5, p->name);
      double slope = 0, length = 0;
      for (int64_t i = 0; i < p->shape.count(); ++i) {
        const double d = random.normal(static_cast<uint64_t>(i));
        slope += d * gradient.as<double>()[i];
        length += std::abs(d * gradient.as<double>()[i]);
      }
      const auto moved = [&](double step) {
        for (int64_t i = 0; i < p->shape.count(); ++i)
          p->view().as<double>()[i] += step * random.normal(static_cast<uint64_t>(i));
        ++p->version;
        return net.value();
      };
      constexpr double step = 1e-6;
      const double above = moved(step), below = moved(-2 * step);
      moved(step);
      EXPECT_NEAR((above - below) / (2 * step), slope, 1e-6 * length + 1e-9) << p->name << ", fused " << fused;
      if (!fused) unfused[p->name] = slope;
      EXPECT_NEAR(slope, unfused.at(p->name), 1e-12 * length) << p->name;
      net.executor->run();
    }
  }
  EXPECT_EQ(unfused.size(), 12u);  // weight and bias of four convolutions and two batch norms
}

}  // namespace
}  // namespace pixelwise
