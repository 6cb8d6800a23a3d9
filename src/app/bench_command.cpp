#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>

#include "app/bench_step.hpp"
#include "app/step_timer.hpp"
#include "core/format.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/kernels/conv2d_table.hpp"
#include "pixelwise/kernels/peak.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

// Waits for a line from whoever paces the runs; false at their end.
bool next_line() {
  std::string line;
  return static_cast<bool>(std::getline(std::cin, line));
}

// Seconds of each run, sorted. Paced: as many runs as there are lines on standard input, so that two programs can be
// timed in turn.
std::vector<double> time_runs(StepTimer& timer, const BenchArguments& arguments) {
  std::vector<double> seconds;
  for (int64_t i = -1; i < arguments.runs || arguments.paced; ++i) {  // the first one warms up
    if (arguments.paced && i >= 0 && !next_line()) break;
    const double took = timer.run();
    if (i >= 0) seconds.push_back(took);
    if (arguments.paced) std::cout << took * 1e3 << std::endl;
  }
  if (seconds.empty()) throw UsageError("--paced: standard input had no line, so nothing was timed");
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

int64_t resident_bytes() {  // the most so far
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

JsonValue kernel_counts(const Plan& plan) {
  std::map<std::string, int64_t> counts;
  for (const Kernel& kernel : plan.kernels) ++counts[kernel.name];
  JsonValue::Object object;
  for (const auto& [name, count] : counts) object.emplace_back(name, count);
  return object;
}

// Where the table of measured kernels speaks for a node: what it says.
std::string measured(const Node& node, const Problem& problem) {
  const auto* spec = std::get_if<Conv2dSpec>(&node.spec);
  const ConvolutionRow* row = spec ? measured_row(*spec, problem) : nullptr;
  if (!row) return {};
  return format("; measured on {} pixels: {} {:.3f} ms, {} {:.3f} ms", row->pixels, row->kernel, row->ms,
                row->instead_of, row->instead_ms);
}

// Which kernel serves each node, and why the ones before it did not.
void explain(const ModelGraph& model) {
  for (const Node& node : model.graph.nodes) {
    const Problem problem = problem_of(model.graph, node, precision_of(model.config));
    const Candidates candidates = operator_of(node.spec).kernels(node.spec, problem);
    std::string text = format("{}: {}", node.name, select(candidates).name) + measured(node, problem);
    for (const Kernel& kernel : candidates) {
      if (!kernel.declined.empty()) text += format("; {} declined: {}", kernel.name, kernel.declined);
    }
    std::fputs((text + "\n").c_str(), stdout);
  }
}

void profile(Executor& executor) {
  executor.run();
  const std::vector<NodeTime> times = executor.profile();
  const Graph& graph = executor.graph();
  double total = 0;
  for (const NodeTime& time : times) total += time.ms;
  for (size_t i = 0; i < times.size(); ++i) {
    const auto flops = static_cast<double>(cost_of(graph, graph.nodes[i]).flops);
    std::fputs(format("{:<48} {:<16} {:>9.3f} ms {:>5.1f}% {:>8.1f} GFLOP/s\n", times[i].node, times[i].kernel,
                      times[i].ms, 100 * times[i].ms / total, times[i].ms > 0 ? flops * 1e-6 / times[i].ms : 0)
                   .c_str(),
               stdout);
  }
  std::fputs(format("{:.3f} ms in all\n", total).c_str(), stdout);
}

}  // namespace

int bench_command(const BenchArguments& arguments) {
  if (arguments.threads > 0) set_thread_count(static_cast<int>(arguments.threads));
  if (arguments.runs < 1) throw UsageError(format("--runs {}: wanted 1 or more", arguments.runs));
  const ModelGraph model = model_graph(arguments);
  if (arguments.explain) return explain(model), 0;
  Parameters parameters;
  parameters.ensure(model.graph, 1);
  Executor executor(model.graph, parameters, std::make_shared<Arena>(), precision_of(model.config));
  StepTimer timer(model, executor, parameters);
  if (arguments.profile) return profile(executor), 0;
  if (!arguments.write_step.empty()) return write_step(arguments.write_step, executor, parameters), 0;

  const std::vector<double> seconds = time_runs(timer, arguments);
  const double median = seconds[seconds.size() / 2], mib = 1 << 20;
  const double gflop = static_cast<double>(total_flops(model.graph, model.graph.all())) * 1e-9;
  const double peak = peak_gflops();
  const Plan& plan = executor.plan();
  const JsonValue::Object line{{"model", model.config.model.name},
                               {"ms", median * 1e3},
                               {"min_ms", seconds.front() * 1e3},
                               {"max_ms", seconds.back() * 1e3},
                               {"gflop", gflop},
                               {"gflops", gflop / median},
                               {"peak_gflops", peak},
                               {"rss_mb", static_cast<double>(resident_bytes()) / mib},
                               {"arena_mb", static_cast<double>(plan.arena_bytes) / mib},
                               {"parameters", parameters.count()},
                               {"precision", model.config.precision},
                               {"cpu", cpu_name()},
                               {"kernels", kernel_counts(plan)}};
  const std::string table = format(
      "{} {}: {:.2f} ms (from {:.2f} to {:.2f}), {:.2f} GFLOP, {:.1f} GFLOP/s: {:.0f}% of the measured peak {:.1f}\n",
      model.config.model.name, arguments.mode, median * 1e3, seconds.front() * 1e3, seconds.back() * 1e3, gflop,
      gflop / median, 100 * gflop / median / peak, peak);
  const std::string text = arguments.csv ? dump_csv({line}) : arguments.json ? dump_json(line) + "\n" : table;
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace pixelwise
