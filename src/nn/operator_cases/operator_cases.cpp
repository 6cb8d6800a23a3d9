#include "pixelwise/nn/operator_cases.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/format.hpp"
#include "nn/operator_cases/tables.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/nn/builder.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

// In the order of OpSpec's alternatives.
const std::vector<OperatorCases>& tables() {
  static const std::vector<OperatorCases> all{conv2d_cases(),
                                              conv_transpose2d_cases(),
                                              max_pool2d_cases(),
                                              max_unpool2d_cases(),
                                              avg_pool2d_cases(),
                                              global_avg_pool_cases(),
                                              batch_norm_cases(),
                                              activation_cases(),
                                              dropout_cases(),
                                              add_cases(),
                                              concat_cases(),
                                              crop_cases(),
                                              pad_cases(),
                                              cast_cases(),
                                              resize_cases(),
                                              softmax_cases(),
                                              argmax_cases(),
                                              one_hot_cases(),
                                              softmax_cross_entropy_cases(),
                                              weighted_sum_cases()};
  return all;
}

Type wide(Type type, bool f64) { return f64 && type == Type::f32 ? Type::f64 : type; }

// The specification for doubles: where it names a type, too.
OpSpec widened(OpSpec spec, bool f64) {
  if (auto* cast = std::get_if<CastSpec>(&spec)) cast->type = wide(cast->type, f64);
  if (auto* one_hot = std::get_if<OneHotSpec>(&spec)) one_hot->type = wide(one_hot->type, f64);
  return spec;
}

// The node of a case, with the parameters that its operator has (named as if the node were called "op").
void append_node(Builder& b, const OperatorCase& one, const OpSpec& spec, const std::string& name,
                 const std::vector<ValueId>& src) {
  const ValueId x = src[0];
  if (const auto* conv = std::get_if<Conv2dSpec>(&spec)) {
    b.conv2d(x, "op", *conv);
  } else if (const auto* transposed = std::get_if<ConvTranspose2dSpec>(&spec)) {
    b.conv_transpose2d(x, "op", *transposed, Init::kaiming_normal);
  } else if (const auto* norm = std::get_if<BatchNormSpec>(&spec)) {
    b.batch_norm(x, "op", norm->eps, norm->momentum);
  } else if (const auto* loss = std::get_if<SoftmaxCrossEntropySpec>(&spec)) {
    b.softmax_cross_entropy(x, src[1], "op", *loss, loss->shared_denominator ? src[2] : no_value);
  } else {
    b.node("op", spec, src);
  }
  Node& node = b.graph().nodes.back();
  node.name = name;
  node.act = one.act;
}

bool is_training(const OpSpec& spec) {
  const auto* norm = std::get_if<BatchNormSpec>(&spec);
  return !norm || norm->phase == Phase::training;
}

bool has_gradient(const Graph& graph, const Node& node) {
  const auto is_real = [&](ValueId id) { return graph.at(id).type == Type::f64 || graph.at(id).type == Type::f32; };
  return operator_of(node.spec).gradient && is_real(node.src[0].value) && is_real(node.dst[0].value);
}

void put(const View& view, int64_t i, double value) {
  if (view.type == Type::f64) view.as<double>()[i] = value;
  if (view.type == Type::f32) view.as<float>()[i] = static_cast<float>(value);
  if (view.type == Type::bf16) view.as<bf16>()[i] = to_bf16(static_cast<float>(value));
  if (view.type == Type::u8) view.as<uint8_t>()[i] = static_cast<uint8_t>(value);
}

// Normal numbers, rounded to what a float holds, so that f32 and f64 see the same.
void fill_normal(const View& view, uint64_t seed, const std::string& name) {
  const Random random(seed, name);
  for (int64_t i = 0; i < view.shape.count(); ++i)
    put(view, i, static_cast<float>(random.normal(static_cast<uint64_t>(i))));
}

// Ids below `classes` and some void.
void fill_ids(const View& view, uint64_t seed, int64_t classes, int64_t ignore) {
  const Random random(seed, "ids");
  for (int64_t i = 0; i < view.shape.count(); ++i) {
    const uint64_t id = random.below(static_cast<uint64_t>(i), static_cast<uint64_t>(classes) + 1);
    put(view, i, static_cast<double>(id == static_cast<uint64_t>(classes) ? ignore : static_cast<int64_t>(id)));
  }
}

// Places in the window that lie inside the map.
void fill_indices(const View& view, uint64_t seed, const MaxUnpool2dSpec& s) {
  Random random(seed, "indices");
  for (int64_t i = 0; i < view.shape.count(); ++i) {
    const int64_t x = i / view.shape.c % view.shape.w, y = i / view.shape.c / view.shape.w % view.shape.h;
    int64_t ky = 0, kx = 0, fy = -1, fx = -1;
    while (fy < 0 || fy >= s.size.h || fx < 0 || fx >= s.size.w) {
      ky = static_cast<int64_t>(random.next_below(static_cast<uint64_t>(s.kernel.h)));
      kx = static_cast<int64_t>(random.next_below(static_cast<uint64_t>(s.kernel.w)));
      fy = y * s.stride.h - s.pad.h + ky, fx = x * s.stride.w - s.pad.w + kx;
    }
    put(view, i, static_cast<double>(ky * s.kernel.w + kx));
  }
}

// Soft targets: three of four pixels have weight; a share for every class.
void fill_planes(const View& view, uint64_t seed) {
  const Random random(seed, "planes");
  for (int64_t i = 0; i < view.shape.count(); ++i)
    put(view, i, i / view.shape.c % 4 == 3 ? 0 : static_cast<float>(random.uniform(static_cast<uint64_t>(i))));
}

// Only sizes of a step that the graph's own nodes see; src of a loss or of unpooling mean something.
void fill_src(const OperatorCase& one, const View& view, size_t i, uint64_t seed) {
  if (const auto* one_hot = std::get_if<OneHotSpec>(&one.spec))
    return fill_ids(view, seed, one_hot->classes, one_hot->ignore_label);
  if (const auto* loss = std::get_if<SoftmaxCrossEntropySpec>(&one.spec)) {
    if (i == 1 && view.type == Type::u8) return fill_ids(view, seed, one.src[0].shape.c, loss->ignore_label);
    if (i == 1) return fill_planes(view, seed);
    if (i == 2) return put(view, 0, 12.5);
  }
  if (const auto* unpool = std::get_if<MaxUnpool2dSpec>(&one.spec); unpool && i == 1)
    return fill_indices(view, seed, *unpool);
  if (view.type == Type::u8) return fill_ids(view, seed, 200, 255);
  fill_normal(view, seed, format("src{}", i));
}

}  // namespace

std::vector<std::string> operator_names() {
  std::vector<std::string> names;
  for (const OperatorCases& cases : tables()) names.push_back(operator_of(cases.at(0).spec).name);
  return names;
}

const std::vector<OperatorCase>& operator_cases(const std::string& op) {
  const std::vector<std::string> names = operator_names();
  const auto found = std::find(names.begin(), names.end(), op);
  if (found == names.end())
    throw UsageError(format("there is no operator '{}'; there are: {}", op, fmt::join(names, ", ")));
  return tables()[static_cast<size_t>(found - names.begin())];
}

OperatorGraph operator_graph(const OperatorCase& one, const OperatorGraphOptions& options) {
  OperatorGraph result;
  const OpSpec spec = widened(one.spec, options.f64);
  Builder b(result.graph, is_training(spec) ? Phase::training : Phase::inference, options.f64 ? Type::f64 : Type::f32);
  for (size_t i = 0; i < one.src.size(); ++i)
    result.src.push_back(b.input(format("src{}", i), wide(one.src[i].type, options.f64), one.src[i].shape));
  append_node(b, one, spec, "op", result.src);
  if (options.twice) append_node(b, one, spec, "op_again", result.src);
  bool gradients = options.gradients;
  for (Node& node : result.graph.nodes) {
    for (const Output& output : node.dst) {
      result.graph.at(output.value).name = node.name + (output.value == node.dst[0].value ? "" : ":saved");
      b.mark_external(output.value);
      result.dst.push_back(output.value);
    }
    result.out.push_back(node.dst[0].value);
    gradients = gradients && has_gradient(result.graph, node);
  }
  if (!gradients) {
    result.out.clear();
    return result;
  }
  std::vector<ValueId> also;
  for (const ValueId id : result.src) {
    if (result.graph.at(id).type != Type::u8) also.push_back(id);
  }
  differentiate_from(result.graph, result.out, also);
  return result;
}

void fill_operands(const OperatorCase& one, const OperatorGraph& graph, Executor& executor, Parameters& parameters,
                   uint64_t seed) {
  for (size_t i = 0; i < graph.src.size(); ++i) fill_src(one, executor.view(graph.src[i]), i, seed);
  for (Parameter* parameter : parameters.all()) {
    const View view = parameter->view();
    fill_normal(view, seed, parameter->name);
    ++parameter->version;
    if (parameter->trained && parameter->layout == Layout::vector) continue;
    if (parameter->layout != Layout::vector) {  // keeps the size of the numbers, as an initialisation does
      initialise(*parameter, seed);
      for (int64_t i = 0; view.type == Type::f64 && i < view.shape.count(); ++i)
        put(view, i, static_cast<float>(view.as<double>()[i]));
      continue;
    }
    const Random random(seed, parameter->name);
    for (int64_t i = 0; i < view.shape.count(); ++i)  // variances and class weights are positive
      put(view, i, static_cast<float>(0.5 + random.uniform(static_cast<uint64_t>(i))));
  }
  for (const ValueId out : graph.out) fill_normal(executor.view(executor.graph().at(out).gradient), seed, "diff_dst");
}

std::vector<std::string> kernel_names() {
  std::set<std::string> names;
  for (const OperatorCases& cases : tables()) {
    for (const OperatorCase& one : cases) {
      const Graph graph = operator_graph(one, {}).graph;
      for (const Node& node : graph.nodes) {
        for (const Kernel& kernel : operator_of(node.spec).kernels(node.spec, problem_of(graph, node, Precision::fp32)))
          names.insert(kernel.name);
      }
    }
  }
  return {names.begin(), names.end()};
}

std::vector<OperatorTime> time_operator(const OperatorCase& one, int runs, Precision precision) {
  const OperatorGraph graph = operator_graph(one, {});
  Parameters parameters;
  parameters.ensure(graph.graph, 1);
  Executor executor(graph.graph, parameters, std::make_shared<Arena>(), precision);
  fill_operands(one, graph, executor, parameters, 1);
  executor.run();  // touches all memory
  std::vector<std::vector<double>> ms(graph.graph.nodes.size());
  for (int run = 0; run < runs; ++run) {
    const std::vector<NodeTime> times = executor.profile();
    for (size_t i = 0; i < times.size(); ++i) ms[i].push_back(times[i].ms);
  }
  std::vector<OperatorTime> result;
  for (size_t i = 0; i < ms.size(); ++i) {
    std::sort(ms[i].begin(), ms[i].end());
    const Node& node = graph.graph.nodes[i];
    result.push_back({node.name, executor.plan().kernels[i].name, ms[i][ms[i].size() / 2],
                      static_cast<double>(operator_of(node.spec).flops(graph.graph, node)) * 1e-9});
  }
  return result;
}

}  // namespace pixelwise
