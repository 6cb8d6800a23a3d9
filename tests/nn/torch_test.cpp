// Single operators in double on the definitions, against PyTorch in double, forward and backward. The fixture is made
// by tests/fixtures/oracle/make_operators.py, whose cases have the same names.
#include <gtest/gtest.h>

#include "pixelwise/nn/operator_cases.hpp"
#include "support/oracle.hpp"

namespace pixelwise {
namespace {

constexpr Shape pooled_shape{2, 8, 9, 3};
constexpr Type f = Type::f32;  // operator_graph makes doubles of it

OperatorCase pooling(const std::string& name, const OpSpec& spec) { return {name, spec, {{f, pooled_shape}}}; }
OperatorCase unpooling(const std::string& name, const MaxUnpool2dSpec& spec, int64_t h, int64_t w) {
  return {name, spec, {{f, {2, h, w, 3}}, {Type::u8, {2, h, w, 3}}}};
}

void add_pooling(std::vector<OperatorCase>& cases) {
  cases.insert(cases.end(), {
                                pooling("avg", AvgPool2dSpec{}),
                                pooling("avg_ceil_pad", AvgPool2dSpec{{3, 3}, {2, 2}, {1, 1}, true, true}),
                                pooling("avg_ceil_exclude", AvgPool2dSpec{{3, 3}, {2, 2}, {1, 1}, true, false}),
                                pooling("avg_exclude", AvgPool2dSpec{{3, 2}, {2, 1}, {1, 0}, false, false}),
                                pooling("avg_wide_stride", AvgPool2dSpec{{2, 3}, {3, 4}, {1, 1}, true, true}),
                                pooling("max", MaxPool2dSpec{}),
                                pooling("max_ceil", MaxPool2dSpec{{2, 2}, {2, 2}, {0, 0}, true}),
                                pooling("max_ceil_pad", MaxPool2dSpec{{3, 3}, {2, 2}, {1, 1}, true}),
                                pooling("max_overlap", MaxPool2dSpec{{3, 2}, {1, 1}, {1, 0}, false}),
                                pooling("max_wide_stride", MaxPool2dSpec{{2, 3}, {3, 4}, {1, 1}, true}),
                                pooling("max_ties", MaxPool2dSpec{{3, 3}, {2, 2}, {1, 1}, true}),
                                unpooling("unpool", {{2, 2}, {2, 2}, {0, 0}, {8, 9}}, 4, 4),
                                unpooling("unpool_ceil", {{2, 2}, {2, 2}, {0, 0}, {8, 9}}, 4, 5),
                                unpooling("unpool_pad", {{3, 3}, {3, 3}, {1, 1}, {8, 9}}, 3, 3),
                                unpooling("unpool_overlap", {{3, 3}, {2, 2}, {1, 1}, {8, 9}}, 5, 5),
                            });
}

void add_resize(std::vector<OperatorCase>& cases) {
  const std::vector<std::pair<Size, Size>> sizes{
      {{5, 7}, {11, 4}}, {{9, 6}, {4, 13}}, {{1, 5}, {7, 1}}, {{3, 4}, {3, 8}}, {{14, 26}, {46, 22}}};
  for (const auto& [from, to] : sizes) {
    const std::vector<std::pair<std::string, ResizeSpec>> modes{{"nearest", {to, Interpolation::nearest, false}},
                                                                {"bilinear", {to, Interpolation::bilinear, false}},
                                                                {"corners", {to, Interpolation::bilinear, true}}};
    for (const auto& [mode, spec] : modes)
      cases.push_back(
          {format("resize_{}_{}x{}_{}x{}", mode, from.h, from.w, to.h, to.w), spec, {{f, {2, from.h, from.w, 3}}}});
  }
}

void add_loss(std::vector<OperatorCase>& cases) {
  for (const bool weighted : {false, true}) {
    for (const double smoothing : {0.0, 0.1}) {
      for (const char* reduction : {"mean", "sum", "batch"}) {
        SoftmaxCrossEntropySpec spec{LossNormalization::mean, smoothing, 255, weighted};
        if (reduction == std::string("sum")) spec.normalize = LossNormalization::sum;
        if (reduction == std::string("batch")) spec.normalize = LossNormalization::batch;
        cases.push_back(
            {format("loss_{}_{}_{}", reduction, smoothing > 0 ? "smooth" : "hard", weighted ? "weighted" : "plain"),
             spec,
             {{f, {2, 5, 4, 6}}, {Type::u8, {2, 5, 4, 1}}}});
      }
    }
  }
  cases.push_back({"softmax", SoftmaxSpec{}, {{f, {2, 4, 5, 6}}}});
}

void add_norm(std::vector<OperatorCase>& cases) {
  cases.push_back({"norm", BatchNormSpec{}, {{f, {2, 5, 4, 3}}}});
  cases.push_back({"norm_momentum", BatchNormSpec{1e-3, 0.3, Phase::training}, {{f, {1, 3, 4, 5}}}});
  cases.push_back({"norm_two_values", BatchNormSpec{1e-5, 1, Phase::training}, {{f, {2, 1, 1, 4}}}});
  cases.push_back({"norm_inference", BatchNormSpec{1e-3, 0.1, Phase::inference}, {{f, {2, 5, 4, 3}}}});
}

void add_convolution(std::vector<OperatorCase>& cases) {
  const auto src = [](int64_t h, int64_t w, int64_t c) { return std::vector<TensorDesc>{{f, {2, h, w, c}}}; };
  cases.push_back({"conv", Conv2dSpec{6, {3, 2}, {2, 1}, {1, 2}, {2, 3}, 2}, src(8, 9, 4)});
  cases.push_back({"conv_depthwise", Conv2dSpec{5, {3, 3}, {1, 2}, {2, 1}, {2, 1}, 5}, src(8, 9, 5)});
  cases.push_back({"conv_atrous", Conv2dSpec{2, {3, 3}, {1, 1}, {12, 12}, {12, 12}}, src(8, 9, 3)});
  cases.push_back({"up", ConvTranspose2dSpec{4, {4, 4}, {2, 2}, {1, 1}}, src(5, 4, 3)});
  cases.push_back({"up_output_pad", ConvTranspose2dSpec{6, {3, 4}, {2, 3}, {1, 0}, {1, 2}, {2, 1}, 2}, src(5, 4, 4)});
  cases.push_back({"up_dilation", ConvTranspose2dSpec{2, {3, 2}, {1, 2}, {3, 1}, {2, 0}, {3, 2}}, src(5, 4, 3)});
  cases.push_back({"up_depthwise", ConvTranspose2dSpec{5, {4, 3}, {2, 2}, {1, 1}, {0, 1}, {1, 1}, 5}, src(5, 4, 5)});
}

std::vector<OperatorCase> all_cases() {
  std::vector<OperatorCase> cases;
  add_pooling(cases), add_resize(cases), add_loss(cases), add_norm(cases), add_convolution(cases);
  return cases;
}

// A case in double, with what to run it. Without gradients: the forward pass alone.
struct Running {
  OperatorGraph graph;
  Parameters parameters;
  std::unique_ptr<Executor> executor;

  explicit Running(const OperatorCase& one) : graph(operator_graph(one, {true, true})) {
    parameters.ensure(graph.graph, 1);
    executor = std::make_unique<Executor>(graph.graph, parameters, std::make_shared<Arena>());
  }
};

void fill(const View& view, const std::string& purpose) {
  const Random random = oracle_stream(purpose);
  for (int64_t i = 0; i < view.shape.count(); ++i) put(view, i, random.normal(static_cast<uint64_t>(i)));
}

// Class ids, or where a pooling of other numbers took its maxima.
void fill_u8(const OperatorCase& one, const View& view) {
  if (const auto* unpool = std::get_if<MaxUnpool2dSpec>(&one.spec)) {
    const bool ceil = one.name.find("pad") == std::string::npos && one.name != "unpool";
    Running pool(pooling("pool", MaxPool2dSpec{unpool->kernel, unpool->stride, unpool->pad, ceil}));
    fill(pool.executor->view(pool.graph.src[0]), one.name + " pooled");
    pool.executor->run();
    const View indices = pool.executor->view(pool.graph.dst[1]);
    ASSERT_EQ(indices.shape, view.shape);
    std::copy_n(indices.as<uint8_t>(), view.shape.count(), view.as<uint8_t>());
    return;
  }
  const Random random = oracle_stream(one.name + " src1");
  for (int64_t i = 0; i < view.shape.count(); ++i) {
    const uint64_t id = random.below(static_cast<uint64_t>(i), 7);
    view.as<uint8_t>()[i] = static_cast<uint8_t>(id == 6 ? 255 : id);
  }
}

// The oracle's operands: see its `src`, `weights`, `vector` and `positive`.
void fill_operands(const OperatorCase& one, Running& run) {
  for (size_t i = 0; i < run.graph.src.size(); ++i) {
    const View view = run.executor->view(run.graph.src[i]);
    if (view.type == Type::u8) {
      fill_u8(one, view);
      continue;
    }
    fill(view, format("{} src{}", one.name, i));
    for (int64_t j = 0; one.name == "max_ties" && j < view.shape.count(); ++j)
      put(view, j, std::nearbyint(element(view, j)));
  }
  for (Parameter* p : run.parameters.all()) {
    const bool weights_of_classes = std::holds_alternative<SoftmaxCrossEntropySpec>(one.spec);
    const std::string purpose = one.name + " " + (weights_of_classes ? "class_weights" : p->name);
    fill(p->view(), purpose);
    if (!weights_of_classes && !p->name.ends_with("running_var")) continue;
    const Random random = oracle_stream(purpose);
    for (int64_t i = 0; i < p->shape.count(); ++i) put(p->view(), i, 0.5 + random.uniform(static_cast<uint64_t>(i)));
  }
  const View diff_dst = run.executor->view(run.graph.graph.at(run.graph.out[0]).gradient);
  fill(diff_dst, one.name + " diff_dst");
}

TEST(Torch, OperatorsAgreeInDouble) {
  const OracleRows rows = read_oracle("operators.txt");
  size_t seen = 0;
  for (const OperatorCase& one : all_cases()) {
    SCOPED_TRACE(one.name);
    Running run(one);
    fill_operands(one, run);
    run.executor->run();
    const auto expect = [&](const std::string& tensor, const View& view) {
      expect_oracle(rows, one.name + "/" + tensor, one.name + " " + tensor, view, 1e-9);
      ++seen;
    };
    expect("dst", run.executor->view(run.graph.out[0]));
    for (const Value& value : run.graph.graph.values) {
      const bool operand = value.name.starts_with("src") || value.storage == Storage::parameter;
      if (operand && value.gradient != no_value) expect("diff." + value.name, run.executor->view(value.gradient));
    }
    for (const Parameter* p : run.parameters.all()) {
      if (p->name.find("running") != std::string::npos) expect(p->name, p->view());
    }
  }
  EXPECT_EQ(seen, rows.size()) << "nothing of PyTorch's is left out";
}

}  // namespace
}  // namespace pixelwise
