// Models in double on the definitions, against PyTorch in double: scores, loss, every parameter's gradient, and
// parameters and running statistics after three steps of SGD. The fixtures are made by
// tests/fixtures/oracle/make_fcn.py and make_models.py, which have the same random numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "pixelwise/models/registry.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/fuse.hpp"
#include "support/oracle.hpp"

namespace pixelwise {
namespace {

constexpr double rate = 0.01, momentum = 0.9, decay = 5e-4;

// The oracle's numbers: see its `parameter`, `conv`, `norm` and `up`.
void fill_parameter(Parameter& p) {
  if (!p.trained) return;  // running statistics start at 0 and 1
  const bool norm = p.layout == Layout::vector && p.name.ends_with(".weight");
  const bool up = p.name.find(".upscore") != std::string::npos;
  double scale = 0.1;
  if (p.layout == Layout::oihw) scale = std::sqrt(2.0 / static_cast<double>(p.shape.h * p.shape.w * p.shape.c));
  if (p.layout == Layout::depthwise) scale = std::sqrt(2.0 / static_cast<double>(p.shape.h * p.shape.w));
  if (up) scale = 1 / std::sqrt(4.0 * static_cast<double>(p.shape.c));
  const Random random = oracle_stream(p.name);
  for (int64_t i = 0; i < p.shape.count(); ++i)
    put(p.view(), i, (norm ? 1 : 0) + scale * random.normal(static_cast<uint64_t>(i)));
  ++p.version;
}

void fill_input(const View& image, const View& labels) {
  for (int64_t i = 0; i < image.shape.count(); ++i)
    put(image, i, oracle_stream("image").normal(static_cast<uint64_t>(i)));
  for (int64_t i = 0; i < labels.shape.count(); ++i) {
    const uint64_t id = oracle_stream("labels").below(static_cast<uint64_t>(i), 6);
    labels.as<uint8_t>()[i] = static_cast<uint8_t>(id == 5 ? 255 : id);
  }
}

struct Network {
  Graph graph;
  Parameters parameters;
  ValueId image, labels, scores, loss;
  std::unique_ptr<Executor> executor;

  Network(const std::string& model, const ModelOptions& options, int64_t batch, Type type) {
    Builder b(graph, Phase::training, type);
    image = b.input("image", type, {batch, 65, 49, 3});
    labels = b.input("labels", Type::u8, {batch, 65, 49, 1});
    const ModelOutputs outputs = build_model(b, {model, 5, 3, options}, image);
    scores = outputs.scores;
    b.mark_external(scores);
    loss = b.softmax_cross_entropy(scores, labels, "loss", {});
    if (outputs.auxiliary != no_value) {
      const ValueId auxiliary = b.softmax_cross_entropy(outputs.auxiliary, labels, "aux_loss", {});
      loss = b.weighted_sum({loss, auxiliary}, {1, 0.5}, "total_loss");
    }
    fuse(graph);
    differentiate(graph, loss);
    parameters.ensure(graph, 1);
    for (Parameter* parameter : parameters.all()) fill_parameter(*parameter);
    executor = std::make_unique<Executor>(graph, parameters, std::make_shared<Arena>());
    fill_input(executor->view(image), executor->view(labels));
  }

  /// PyTorch's SGD: v = momentum v + (g + decay w); w -= rate v.
  void descend(std::map<std::string, Numbers>& velocity) {
    for (const Value& value : graph.values) {
      if (value.storage != Storage::parameter) continue;
      Parameter& p = parameters.at(value.name);
      const View gradient = executor->view(value.gradient);
      Numbers& v = velocity[value.name];
      v.resize(static_cast<size_t>(p.shape.count()), 0);
      for (int64_t i = 0; i < p.shape.count(); ++i) {
        double& vi = v[static_cast<size_t>(i)];
        vi = momentum * vi + element(gradient, i) + decay * element(p.view(), i);
        put(p.view(), i, element(p.view(), i) - rate * vi);
      }
      ++p.version;
    }
  }
};

struct Case {
  std::string fixture, model;
  ModelOptions options;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.fixture; }

class Parity : public testing::TestWithParam<Case> {};

TEST_P(Parity, DoublesAgreeWithPyTorch) {
  const Case& one = GetParam();
  const OracleRows fixture = read_oracle(one.fixture + ".txt");
  Network net(one.model, one.options, static_cast<int64_t>(fixture.at("batch").at(0)), Type::f64);
  std::map<std::string, Numbers> velocity;
  double largest = 0;
  for (const auto& [key, row] : fixture) largest = std::max(largest, key.starts_with("diff.") ? row[0] : 0);
  for (size_t step = 0; step < 3; ++step) {
    net.executor->run();
    const double loss = fixture.at("loss")[step];
    EXPECT_NEAR(*net.executor->view(net.loss).as<double>(), loss, 1e-9 * loss) << "step " << step;
    if (step == 0) {
      expect_oracle(fixture, "scores", "scores", net.executor->view(net.scores), 1e-9);
      for (const Value& value : net.graph.values) {
        if (value.storage == Storage::parameter)
          expect_oracle(fixture, "diff." + value.name, value.name, net.executor->view(value.gradient), 1e-9,
                        1e-4 * largest);
      }
    }
    net.descend(velocity);
  }
  size_t rows = 0;
  for (const Parameter* p : net.parameters.all()) {
    expect_oracle(fixture, "after." + p->name, p->name, p->view(), 1e-9);
    rows += p->trained ? 2 : 1;
  }
  EXPECT_EQ(rows + 3, fixture.size());  // batch, loss, scores: nothing of PyTorch's is left out
}

TEST_P(Parity, FloatsAgreeLoosely) {
  const Case& one = GetParam();
  const OracleRows fixture = read_oracle(one.fixture + ".txt");
  Network net(one.model, one.options, static_cast<int64_t>(fixture.at("batch").at(0)), Type::f32);
  net.executor->run(Range{0, net.graph.forward_nodes});
  EXPECT_NEAR(*net.executor->view(net.loss).as<float>(), fixture.at("loss")[0], 1e-4);
  expect_oracle(fixture, "scores", "scores", net.executor->view(net.scores), 1e-4);
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  const std::string& fixture = info.param.fixture;
  return fixture.substr(fixture.find('/') + 1);
}

ModelOptions narrow() {
  ModelOptions options;
  options.width = 1.0 / 16;
  options.dropout = 0;
  return options;
}

std::vector<Case> fcn_cases() {
  std::vector<Case> cases;
  for (const char* model :
       {"fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16", "fcn32s_vgg16_bn", "fcn16s_vgg16_bn", "fcn8s_vgg16_bn"}) {
    for (const char* padding : {"same", "published"}) {
      ModelOptions options = narrow();
      options.padding = padding;
      options.fc_channels = 16;
      cases.push_back({format("fcn/{}_{}", model, padding), model, options});
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Fcn, Parity, testing::ValuesIn(fcn_cases()), test_name);

// Rates lie inside the map. make_models.py has the same names and options.
std::vector<Case> model_cases() {
  std::vector<Case> cases;
  const auto add = [&](const char* model, auto... changes) {
    ModelOptions options = narrow();
    options.head_channels = 16;
    (changes(options), ...);
    cases.push_back({format("models/{}", model), model, options});
  };
  using Rates = std::vector<int64_t>;
  const auto rates = [](Rates list) { return [list](ModelOptions& o) { o.rates = list; }; };
  const auto stride = [](int64_t s) { return [s](ModelOptions& o) { o.output_stride = s; }; };
  const auto auxiliary = [](ModelOptions& o) { o.auxiliary = true; };
  const auto separable = [](ModelOptions& o) { o.separable = true; };
  const auto channels = [](int64_t count) { return [count](ModelOptions& o) { o.head_channels = count; }; };
  const auto usual_channels = channels(256);
  add("segnet", usual_channels);
  add("segnet_basic", usual_channels);
  add("fcn_resnet18", usual_channels, stride(32), auxiliary);
  add("fcn_resnet50", usual_channels, auxiliary);
  add("deeplabv3_resnet50", rates({1, 2, 3}), auxiliary);
  add("deeplabv3_mobilenet_v2", rates({}), [](ModelOptions& o) {
    o.image_pooling = "unnormalised";
    o.align_corners = true;
  });
  add("deeplabv3plus_mobilenet_v2", rates({1, 2, 3}), stride(8));
  add("deeplabv3plus_resnet10", rates({1, 2}), separable);
  add("deeplabv3plus_xception65", rates({1, 2}), separable);
  add("deeplabv3_mobilenet_v2", rates({1, 2}), separable, [](ModelOptions& o) {
    o.channel_multiple = 1;
    o.head_conv = o.batch_norm = false;
    o.align_corners = true;
  });
  cases.back().fixture += "_google";
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Models, Parity, testing::ValuesIn(model_cases()), test_name);

}  // namespace
}  // namespace pixelwise
