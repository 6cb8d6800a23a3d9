// Models in double on the definitions, against PyTorch in double: scores, loss, every parameter's gradient, parameters
// and running statistics after three steps of SGD, and the scores in inference that these give. The fixtures are made
// by tests/fixtures/oracle/make_fcn.py and make_models.py, which have the same random numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "pixelwise/models/registry.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/executor.hpp"
#include "pixelwise/nn/fuse.hpp"
#include "support/oracle.hpp"

namespace pixelwise {
namespace {

constexpr double momentum = 0.9, decay = 5e-4;

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

void fill_image(const View& image) {
  for (int64_t i = 0; i < image.shape.count(); ++i)
    put(image, i, oracle_stream("image").normal(static_cast<uint64_t>(i)));
}

void fill_labels(const View& labels) {
  for (int64_t i = 0; i < labels.shape.count(); ++i) {
    const uint64_t id = oracle_stream("labels").below(static_cast<uint64_t>(i), 6);
    labels.as<uint8_t>()[i] = static_cast<uint8_t>(id == 5 ? 255 : id);
  }
}

struct Case {
  std::string fixture, model;
  ModelOptions options;
  Size size{65, 49};
  double lr = 0.01;

  ModelOutputs build(Builder& builder, ValueId image) const {
    return build_model(builder, {model, 5, 3, options}, image);
  }
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.fixture; }

// How far floats may be from double: `tolerance` with the kernels that are chosen. Networks of a hundred layers, with
// batch norms of few pixels, amplify what a convolution rounds; a kernel that is forced also serves layers that it
// would not be chosen for, and products of halves (amx) round some twenty times as much as sums of floats.
double in_floats(double tolerance) {
  const char* forced = std::getenv("PIXELWISE_KERNELS");
  if (!forced || !*forced) return tolerance;
  return (std::string(forced) == "amx" ? 20 : 2) * tolerance;
}

// As it is trained; or with scores that are read from outside, so that they are made at the photo's size.
enum class Scores { in_the_loss, shown };

struct Network {
  Graph graph;
  Parameters parameters;
  ValueId image, labels, scores, loss;
  std::unique_ptr<Executor> executor;

  Network(const Case& one, int64_t batch, Type type, Scores shown) {
    Builder b(graph, Phase::training, type);
    image = b.input("image", type, {batch, one.size.h, one.size.w, 3});
    labels = b.input("labels", Type::u8, {batch, one.size.h, one.size.w, 1});
    const ModelOutputs outputs = one.build(b, image);
    scores = outputs.scores;
    if (shown == Scores::shown) b.mark_external(scores);
    loss = b.softmax_cross_entropy(scores, labels, "loss", {});
    if (outputs.auxiliary != no_value) {
      const ValueId auxiliary = b.softmax_cross_entropy(outputs.auxiliary, labels, "aux_loss", {});
      loss = b.weighted_sum({loss, auxiliary}, {1, 0.5}, "total_loss");
    }
    fuse(graph);
    fuse_losses(graph);
    differentiate(graph, loss);
    fuse_moments(graph, Precision::fp32);
    defer_batch_norms(graph);
    parameters.ensure(graph, 1);
    for (Parameter* parameter : parameters.all()) fill_parameter(*parameter);
    executor = std::make_unique<Executor>(graph, parameters, std::make_shared<Arena>());
    fill_image(executor->view(image));
    fill_labels(executor->view(labels));
  }

  /// PyTorch's SGD: v = momentum v + (g + decay w); w -= lr v.
  void descend(std::map<std::string, Numbers>& velocity, double lr) {
    for (const Value& value : graph.values) {
      if (value.storage != Storage::parameter) continue;
      Parameter& p = parameters.at(value.name);
      const View gradient = executor->view(value.gradient);
      Numbers& v = velocity[value.name];
      v.resize(static_cast<size_t>(p.shape.count()), 0);
      for (int64_t i = 0; i < p.shape.count(); ++i) {
        double& vi = v[static_cast<size_t>(i)];
        vi = momentum * vi + element(gradient, i) + decay * element(p.view(), i);
        put(p.view(), i, element(p.view(), i) - lr * vi);
      }
      ++p.version;
    }
  }
};

// The network in inference: image and scores are external.
Executor inference(const Case& one, int64_t batch, Type type, Parameters& parameters,
                   Precision precision = Precision::fp32) {
  Graph graph;
  Builder b(graph, Phase::inference, type);
  const ValueId scores = one.build(b, b.input("image", type, {batch, one.size.h, one.size.w, 3})).scores;
  graph.at(scores).name = "scores";
  b.mark_external(scores);
  fuse(graph);
  fold(graph);
  fold_max_pools(graph, precision);
  parameters.ensure(graph, 1);
  Executor executor(graph, parameters, std::make_shared<Arena>(), precision);
  fill_image(executor.view("image"));
  return executor;
}

int64_t batch_of(const OracleRows& fixture) { return static_cast<int64_t>(fixture.at("batch").at(0)); }

class Parity : public testing::TestWithParam<Case> {};

TEST_P(Parity, DoublesAgreeWithPyTorch) {
  const Case& one = GetParam();
  const OracleRows fixture = read_oracle(one.fixture + ".txt");
  Network net(one, batch_of(fixture), Type::f64, Scores::in_the_loss);
  std::map<std::string, Numbers> velocity;
  double largest = 0;
  for (const auto& [key, row] : fixture) largest = std::max(largest, key.starts_with("diff.") ? row[0] : 0);
  for (size_t step = 0; step < 3; ++step) {
    net.executor->run();
    const double loss = fixture.at("loss")[step];
    EXPECT_NEAR(*net.executor->view(net.loss).as<double>(), loss, 1e-9 * loss) << "step " << step;
    if (step == 0) {
      for (const Value& value : net.graph.values) {
        if (value.storage == Storage::parameter)
          expect_oracle(fixture, "diff." + value.name, value.name, net.executor->view(value.gradient), 1e-9,
                        1e-4 * largest);
      }
    }
    net.descend(velocity, one.lr);
  }
  size_t rows = 0;
  for (const Parameter* p : net.parameters.all()) {
    expect_oracle(fixture, "after." + p->name, p->name, p->view(), 1e-9);
    rows += p->trained ? 2 : 1;
  }
  EXPECT_EQ(rows + 4, fixture.size());  // batch, loss, scores, inference: nothing of PyTorch's is left out
  Executor trained = inference(one, batch_of(fixture), Type::f64, net.parameters);
  trained.run();
  expect_oracle(fixture, "inference", "scores", trained.view("scores"), 1e-9);
  const Network shown(one, batch_of(fixture), Type::f64, Scores::shown);
  shown.executor->run(Range{0, shown.graph.forward_nodes});
  expect_oracle(fixture, "scores", "scores", shown.executor->view(shown.scores), 1e-9);
}

TEST_P(Parity, FloatsAgreeLoosely) {
  const Case& one = GetParam();
  const OracleRows fixture = read_oracle(one.fixture + ".txt");
  const Network net(one, batch_of(fixture), Type::f32, Scores::in_the_loss),
      shown(one, batch_of(fixture), Type::f32, Scores::shown);
  for (const Network* network : {&net, &shown}) {
    network->executor->run(Range{0, network->graph.forward_nodes});
    EXPECT_NEAR(*network->executor->view(network->loss).as<float>(), fixture.at("loss")[0], in_floats(1e-4));
  }
  expect_oracle(fixture, "scores", "scores", shown.executor->view(shown.scores), in_floats(2e-4));
}

// Untrained networks whose maps are larger than the published rates.
class Inference : public testing::TestWithParam<Case> {};

TEST_P(Inference, AgreesWithPyTorch) {
  const Case& one = GetParam();
  const OracleRows fixture = read_oracle(one.fixture + ".txt");
  for (const auto& [type, tolerance] : {std::pair{Type::f64, 1e-9}, {Type::f32, in_floats(1e-4)}}) {
    Parameters parameters;
    Executor executor = inference(one, batch_of(fixture), type, parameters);
    for (Parameter* parameter : parameters.all()) fill_parameter(*parameter);
    executor.run();
    expect_oracle(fixture, "inference", "scores", executor.view("scores"), tolerance);
  }
}

// Untrained networks of the published widths in single precision: how far they are from double, in RMS, beside how far
// PyTorch is.
class FullWidth : public testing::TestWithParam<Case> {};

TEST_P(FullWidth, ErrsLittleMoreThanPyTorch) {
  const OracleRows fixture = read_oracle(GetParam().fixture + ".txt");
  const Numbers& samples = fixture.at("samples");
  Parameters parameters;
  Executor strict = inference(GetParam(), 1, Type::f32, parameters, Precision::strict);
  Executor fp32 = inference(GetParam(), 1, Type::f32, parameters, Precision::fp32);
  for (Parameter* parameter : parameters.all()) fill_parameter(*parameter);
  // Where two values of a pooling window are nearly equal, rounding decides which is the larger, and unpooling moves it
  // to another pixel: a jump. With fp32 the fiftieth of the samples that differs most is left out of networks that
  // unpool; a kernel that errs would show in the others.
  const bool unpools = GetParam().model.starts_with("segnet");
  const auto error_of = [&](Executor& executor, size_t counted) {
    executor.run();
    const View scores = executor.view("scores");
    Numbers squares;
    for (size_t i = 0; i < samples.size(); ++i) {
      const uint64_t at = oracle_stream("samples").below(i, static_cast<uint64_t>(scores.shape.count()));
      squares.push_back(std::pow(element(scores, static_cast<int64_t>(at)) - samples[i], 2));
    }
    std::sort(squares.begin(), squares.end());
    const double sum = std::accumulate(squares.begin(), squares.begin() + static_cast<std::ptrdiff_t>(counted), 0.0);
    return std::sqrt(sum / static_cast<double>(counted)) / fixture.at("rms")[0];
  };
  const double theirs = fixture.at("error")[0];
  EXPECT_LE(error_of(strict, samples.size()), 4 * theirs);
  EXPECT_LE(error_of(fp32, samples.size() - (unpools ? samples.size() / 50 + 1 : 0)), 30 * theirs);
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

std::vector<Case> fcn_cases(const char* padding) {
  std::vector<Case> cases;
  for (const char* model :
       {"fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16", "fcn32s_vgg16_bn", "fcn16s_vgg16_bn", "fcn8s_vgg16_bn"}) {
    ModelOptions options = narrow();
    options.padding = padding;
    options.fc_channels = 16;
    cases.push_back({format("fcn/{}_{}", model, padding), model, options, {65, 49}});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Fcn, Parity, testing::ValuesIn(fcn_cases("same")), test_name);
INSTANTIATE_TEST_SUITE_P(SlowFcn, Parity, testing::ValuesIn(fcn_cases("published")), test_name);  // maps of pad 100

// make_models.py has the same names and options.
using Change = std::function<void(ModelOptions&)>;

Case model_case(const std::string& model, const std::string& suffix, const std::vector<Change>& changes,
                Size size = {65, 49}, double lr = 0.01) {
  ModelOptions options = narrow();
  if (model.starts_with("deeplab")) options.head_channels = 16;
  for (const Change& change : changes) change(options);
  return {format("models/{}{}", model, suffix), model, options, size, lr};
}

Change rates(std::vector<int64_t> list) {
  return [list](ModelOptions& o) { o.rates = list; };
}
Change stride(int64_t s) {
  return [s](ModelOptions& o) { o.output_stride = s; };
}
Change pooling(const std::string& choice) {
  return [choice](ModelOptions& o) { o.image_pooling = choice; };
}
void auxiliary(ModelOptions& o) { o.auxiliary = true; }
void separable(ModelOptions& o) { o.separable = true; }
void align_corners(ModelOptions& o) { o.align_corners = true; }
void as_google(ModelOptions& o) {
  o.channel_multiple = 1;
  o.head_conv = o.batch_norm = false;
}

// Maps of 9x7 (stride 8) or 5x4 (16): rates inside and outside of them.
std::vector<Case> model_cases() {
  return {
      model_case("segnet", "", {}),
      model_case("segnet", "_33x46", {}, {33, 46}),
      model_case("segnet_basic", "", {}),
      model_case("segnet_basic", "_47x38", {}, {47, 38}),
      model_case("fcn_resnet18", "", {stride(32), auxiliary}),
      model_case("fcn_resnet34", "", {auxiliary}),
      model_case("fcn_resnet50", "", {auxiliary}),
      model_case("fcn_resnet101", "", {auxiliary}, {65, 49}, 1e-5),
      model_case("fcn_mobilenet_v2", "", {}),
      model_case("fcn_xception65", "", {stride(16)}),
      model_case("deeplabv3_resnet50", "", {rates({1, 2, 3}), auxiliary}),
      model_case("deeplabv3_resnet101", "", {auxiliary}, {65, 49}, 1e-5),
      model_case("deeplabv3_resnet101", "_inside", {rates({1, 2, 3}), auxiliary}, {65, 49}, 1e-5),
      model_case("deeplabv3_mobilenet_v2", "", {rates({}), pooling("unnormalised"), align_corners}),
      model_case("deeplabv3_mobilenet_v2", "_google", {rates({1, 2}), separable, align_corners, as_google}),
      model_case("deeplabv3plus_mobilenet_v2", "", {rates({1, 2, 3}), stride(8)}),
      model_case("deeplabv3plus_resnet10", "", {rates({1, 2}), separable}),
      model_case("deeplabv3plus_resnet10", "_running", {rates({1, 4, 7}), pooling("running")}),
      model_case("deeplabv3plus_resnet10", "_none", {rates({1}), pooling("none"), stride(32)}),
      model_case("deeplabv3plus_resnet10", "_batch1", {rates({2})}),
      model_case("deeplabv3plus_resnet50", "", {}),
      model_case("deeplabv3plus_resnet50", "_inside", {rates({1, 2, 3})}),
      model_case("deeplabv3plus_xception65", "", {rates({1, 2}), separable}),
  };
}
INSTANTIATE_TEST_SUITE_P(Models, Parity, testing::ValuesIn(model_cases()), test_name);

std::vector<Case> large_cases() {
  const Size size{321, 297};
  return {
      model_case("deeplabv3_resnet50", "_large", {}, size),
      model_case("deeplabv3_resnet101", "_large", {}, size),
      model_case("deeplabv3_mobilenet_v2", "_large", {}, size),
      model_case("deeplabv3plus_resnet10", "_large", {}, size),
      model_case("deeplabv3plus_resnet50", "_large", {}, size),
      model_case("deeplabv3plus_mobilenet_v2", "_large", {}, size),
      model_case("deeplabv3plus_xception65", "_large", {}, size),
      model_case("fcn_mobilenet_v2", "_large", {stride(32)}, size),
      model_case("fcn_xception65", "_large", {stride(32)}, size),
      model_case("fcn_resnet101", "_large", {}, size),
  };
}
INSTANTIATE_TEST_SUITE_P(Models, Inference, testing::ValuesIn(large_cases()), test_name);

std::vector<Case> full_cases() {
  std::vector<Case> cases;
  for (const char* model :
       {"segnet", "segnet_basic", "fcn_resnet18", "fcn_resnet34", "fcn_resnet50", "fcn_resnet101", "fcn_mobilenet_v2",
        "fcn_xception65", "deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v2",
        "deeplabv3plus_resnet10", "deeplabv3plus_resnet50", "deeplabv3plus_mobilenet_v2", "deeplabv3plus_xception65"}) {
    ModelOptions options;
    options.dropout = 0;
    cases.push_back({format("models/{}_full", model), model, options, {193, 161}});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Slow, FullWidth, testing::ValuesIn(full_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(SlowFcn, FullWidth, testing::Values(Case{"fcn/fcn8s_vgg16_full", "fcn8s_vgg16", {}}),
                         test_name);

// Every model but the lessons' is trained in a fixture; one with atrous branches also on a map that holds all its
// rates, and its published rates run on a map that holds them.
TEST(ParityCases, LeaveNoModelOut) {
  const auto rates_inside = [](const Case& one) {
    Graph graph;
    Builder builder(graph, Phase::inference);
    one.build(builder, builder.input("image", Type::f32, {1, one.size.h, one.size.w, 3}));
    return (!one.options.rates || !one.options.rates->empty()) && warnings_of(graph).empty();
  };
  std::set<std::string> trained{"tiny_fcn", "pixelwise_1x1"}, inside, published;
  for (const auto& cases : {fcn_cases("same"), fcn_cases("published"), model_cases()}) {
    for (const Case& one : cases) {
      trained.insert(one.model);
      if (rates_inside(one)) inside.insert(one.model);
    }
  }
  for (const Case& one : large_cases()) {
    if (!one.options.rates && rates_inside(one)) published.insert(one.model);
  }
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_TRUE(trained.contains(entry.name)) << entry.name;
    if (std::find(entry.options.begin(), entry.options.end(), "rates") == entry.options.end()) continue;
    EXPECT_TRUE(inside.contains(entry.name)) << entry.name;
    EXPECT_TRUE(published.contains(entry.name)) << entry.name;
  }
}

}  // namespace
}  // namespace pixelwise
