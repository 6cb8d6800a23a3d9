// layers [MODEL...]: times every distinct convolution of the models (default: those of tools/compare) in all passes, as
// Pixelwise and as oneDNN compute it, in turn and on the same numbers. A line for each: shape, pass, ms, oneDNN's ms,
// GFLOP/s, percent of the peak, how many times as fast, how far apart (of the largest output), kernels.
// BATCH, PRECISION (fp32, strict) and ONLY (a part of the name of the layers that are timed) come from the environment.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "onednn.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/peak.hpp"
#include "pixelwise/nn/operator.hpp"
#include "shapes.hpp"

using namespace pixelwise;

namespace {

constexpr double enough_ms = 150;  // of each side
constexpr int least_runs = 3, most_runs = 101;

// All threads are awake when the clock starts: one that had long finished its share of the other side's run may sleep.
template <class Run>
double ms_of(const Run& run) {
  parallel_for(thread_count(), [](int64_t, int) {});
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Medians of runs in turn, after one of each that warms up.
template <class Ours, class Theirs>
std::pair<double, double> race(const Ours& ours, const Theirs& theirs) {
  ours(), theirs();
  std::vector<double> a, b;
  double sum_a = 0, sum_b = 0;
  while (a.size() < most_runs && (a.size() < least_runs || std::min(sum_a, sum_b) < enough_ms)) {
    a.push_back(ms_of(ours)), b.push_back(ms_of(theirs));
    sum_a += a.back(), sum_b += b.back();
  }
  return {median(a), median(b)};
}

template <class Fn>
void for_each_element(const View& view, const Fn& fn) {
  for (int64_t n = 0; n < view.shape.n; ++n)
    for (int64_t y = 0; y < view.shape.h; ++y)
      for (int64_t x = 0; x < view.shape.w; ++x)
        for (int64_t c = 0; c < view.shape.c; ++c) fn(view.at<float>(n, y, x)[c]);
}

// Uniform in -size..size; a generator of one line, because there are up to 100 million weights.
void fill(const View& view, float size) {
  uint32_t state = 1;
  for_each_element(view, [&](float& value) {
    state = state * 1664525u + 1013904223u;
    value = size * (static_cast<float>(state >> 8) * 0x1p-23f - 1);
  });
}

std::vector<float> copy_of(const View& view) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(view.shape.count()));
  for_each_element(view, [&](const float& value) { values.push_back(value); });
  return values;
}

double difference(const std::vector<float>& ours, const std::vector<float>& theirs) {
  double apart = 0, largest = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    apart = std::max(apart, std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i])));
    largest = std::max(largest, std::abs(static_cast<double>(theirs[i])));
  }
  return apart / largest;
}

// The layer as a convolution: a transposed one with x and y in each other's place.
Convolution convolution_of(const OpSpec& spec, const View& x, const View& weights, const View& y) {
  if (const auto* s = std::get_if<Conv2dSpec>(&spec))
    return {x, weights, y, s->kernel, s->stride, s->pad, s->dilation, s->groups};
  const auto& s = std::get<ConvTranspose2dSpec>(spec);
  return {y, weights, x, s.kernel, s.stride, s.pad, s.dilation, s.groups};
}

Pass pass_of(const OpSpec& spec, Pass pass) {
  if (std::holds_alternative<Conv2dSpec>(spec) || pass == Pass::backward_weights) return pass;
  return pass == Pass::forward ? Pass::backward_data : Pass::forward;
}

const char* to_string(Pass pass) {
  if (pass == Pass::forward) return "forward";
  return pass == Pass::backward_data ? "data" : "weights";
}

struct Outcome {
  double our_ms = 0, their_ms = 0, apart = 0;
  std::string implementation;  // oneDNN's
};

// Node i of the executor against oneDNN, which computes the same from the same operands; `to` is the one that it
// writes.
Outcome time_node(Executor& executor, int i, const Convolution& convolution, Pass pass, const View& to) {
  OneDnn theirs(convolution, pass);
  const auto [our_ms, their_ms] = race([&] { executor.run(Range{i, i + 1}); }, [&] { theirs.run(); });
  const std::vector<float> ours = copy_of(to);
  for_each_element(to, [](float& value) { value = 1e30f; });  // what is not written shows
  theirs.write_result();
  return {our_ms, their_ms, difference(ours, copy_of(to)), theirs.implementation()};
}

void time_layer(const Layer& layer, Precision precision, double peak) {
  OperatorGraph graph = operator_graph(layer.one, {});
  graph.graph.forward_nodes = 0;  // as in inference, weights are packed once: oneDNN's are too
  for (Value& value : graph.graph.values) value.external = false;  // laid out as maps between two layers are
  Parameters parameters;
  parameters.ensure(graph.graph, 1);
  Executor executor(graph.graph, parameters, std::make_shared<Arena>(), precision);
  const Graph& g = executor.graph();
  Parameter& parameter = *parameters.all().at(0);
  const View x = executor.view(graph.src[0]), y = executor.view(graph.out[0]), weights = parameter.view();
  const auto gradient = [&](ValueId id) { return executor.view(g.at(id).gradient); };
  fill(x, 1);
  fill(weights, 1 / std::sqrt(static_cast<float>(weights.shape.h * weights.shape.w * weights.shape.c)));
  ++parameter.version;
  for (int i = 0; i < static_cast<int>(g.nodes.size()); ++i) {
    const Node& node = g.nodes[static_cast<size_t>(i)];
    if (node.pass == Pass::backward_data && layer.reads_photo) continue;
    View a = x, w = weights, b = gradient(graph.out[0]);  // the pass reads two of them, and writes the third
    fill(b, 1);
    View& to = node.pass == Pass::forward ? b : node.pass == Pass::backward_data ? a : w;
    to = node.pass == Pass::forward         ? y
         : node.pass == Pass::backward_data ? gradient(graph.src[0])
                                            : gradient(g.find(parameter.name));
    const OpSpec& spec = layer.one.spec;
    const Outcome out = time_node(executor, i, convolution_of(spec, a, w, b), pass_of(spec, node.pass), to);
    const double gflops = static_cast<double>(cost_of(g, node).flops) * 1e-6 / out.our_ms;
    std::printf("%-42s %-8s %9.3f %9.3f %8.1f %6.0f%% %7.2fx %8.0e  %-14s %s\n", layer.one.name.c_str(),
                to_string(node.pass), out.our_ms, out.their_ms, gflops, 100 * gflops / peak, out.their_ms / out.our_ms,
                out.apart, executor.plan().kernels[static_cast<size_t>(i)].name, out.implementation.c_str());
    std::fflush(stdout);
  }
}

const char* setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  restart_with_patient_threads(argv);  // as the tools do; oneDNN's are the same ones
  const std::vector<std::string> models =
      argc > 1 ? std::vector<std::string>(argv + 1, argv + argc) : compared_models();
  const int64_t batch = std::atoll(setting("BATCH", "1"));
  const Precision precision =
      std::string(setting("PRECISION", "fp32")) == "strict" ? Precision::strict : Precision::fp32;
  const std::string only = setting("ONLY", "");
  double peak = 0;
  std::set<std::string> done;
  for (const std::string& model : models) {
    peak = std::max(peak, peak_gflops());
    for (const Layer& layer : layers_of(model, batch)) {
      const std::string& name = layer.one.name;
      if (name.find(only) != std::string::npos && done.insert(name).second) time_layer(layer, precision, peak);
    }
  }
}
