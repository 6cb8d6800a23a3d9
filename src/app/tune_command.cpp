// Which kernel serves each convolution of a model best: whole training steps are timed, node by node, with each kernel
// forced in turn, so that a kernel is measured as it runs in a training, beside its neighbours and with what is fused.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "app/step_timer.hpp"
#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/kernels/conv2d.hpp"
#include "pixelwise/kernels/conv2d_table.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

constexpr double worth = 1.03;  // a kernel that gains less is left to the rules

// Nodes of one class and size, and the time of one of them under each kernel.
struct Group {
  ConvolutionRow row;
  std::string rule;                    // the kernel that the rules choose
  std::vector<size_t> nodes;           // of the graph
  std::map<std::string, double> ms{};  // by kernel
};

// Only kernels that are fast for something: the textbook's lowering, the definition and emulated tiles are for
// comparison.
std::vector<std::string> contenders(const Conv2dSpec& spec, const Problem& problem) {
  std::vector<std::string> names;
  for (const Kernel& kernel : conv2d_kernels_by_rule(spec, problem)) {
    const std::string name = kernel.name;
    const bool emulated = name == "amx" && problem.isa < Isa::amx;
    if (kernel.declined.empty() && name != "im2col" && name != "definition" && !emulated) names.push_back(name);
  }
  return names;
}

// The convolutions for which there is a choice.
std::vector<Group> groups_of(const ModelGraph& model, std::set<std::string>& kernels) {
  std::vector<Group> groups;
  for (size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const auto* spec = std::get_if<Conv2dSpec>(&model.graph.nodes[i].spec);
    if (!spec) continue;
    const Problem problem = problem_of(model.graph, model.graph.nodes[i], precision_of(model.config));
    const std::vector<std::string> names = contenders(*spec, problem);
    const std::optional<ConvolutionRow> row = row_for(*spec, problem);
    if (names.size() < 2 || !row) continue;
    const auto same = [&](const Group& g) { return g.row.conv == row->conv && g.row.pixels == row->pixels; };
    auto found = std::find_if(groups.begin(), groups.end(), same);
    if (found == groups.end()) found = groups.insert(found, Group{*row, names[0], {}});
    found->nodes.push_back(i);
    kernels.insert(names.begin(), names.end());
  }
  return groups;
}

// One step with a kernel forced; the least time of each group so far is kept. (The kernels take turns: a shared machine
// is faster in one minute than in the next.)
void time_groups(const ModelGraph& model, const std::string& kernel, Parameters& parameters,
                 const std::shared_ptr<Arena>& arena, std::vector<Group>& groups) {
  force_kernels(kernel);
  Executor executor(model.graph, parameters, arena, precision_of(model.config));
  force_kernels("");
  StepTimer(model, executor, parameters).run();  // fills the inputs, and touches all memory
  const std::vector<NodeTime> times = executor.profile();
  for (Group& group : groups) {
    if (executor.plan().kernels[group.nodes[0]].name != kernel) continue;
    double sum = 0;
    for (const size_t node : group.nodes) sum += times[node].ms;
    const double ms = sum / static_cast<double>(group.nodes.size());
    const auto [entry, first] = group.ms.emplace(kernel, ms);
    if (!first) entry->second = std::min(entry->second, ms);
  }
}

// Puts what was measured of a group in place of what the table had; a line that tells it.
std::string enter(const Group& group, ConvolutionTable& table) {
  ConvolutionRow row = group.row;
  std::erase_if(table, [&](const ConvolutionRow& old) { return old.conv == row.conv && old.pixels == row.pixels; });
  const auto best = std::min_element(group.ms.begin(), group.ms.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  row.kernel = best->first, row.ms = best->second;
  row.instead_of = group.rule, row.instead_ms = group.ms.at(group.rule);
  const bool entered = row.instead_ms > worth * row.ms;
  if (entered) table.push_back(row);
  std::string text = format("{} node(s) like {}: rules {}", group.nodes.size(), describe_row(row), group.rule);
  for (const auto& [kernel, ms] : group.ms) text += format(", {} {:.3f} ms", kernel, ms);
  return text + (entered ? format("; entered: {}\n", row.kernel) : "\n");
}

}  // namespace

int tune_command(const BenchArguments& arguments, const std::string& table_file) {
  if (arguments.threads > 0) set_thread_count(static_cast<int>(arguments.threads));
  if (arguments.runs < 1) throw UsageError(format("--runs {}: wanted 1 or more", arguments.runs));
  const ModelGraph model = model_graph(arguments);
  if (!model.training) throw UsageError("--tune measures all passes: leave out --mode infer");
  ConvolutionTable table =
      std::filesystem::exists(table_file) ? parse_convolution_table(read_file(table_file)) : convolution_table();
  std::set<std::string> kernels;
  std::vector<Group> groups = groups_of(model, kernels);
  Parameters parameters;
  parameters.ensure(model.graph, 1);
  const auto arena = std::make_shared<Arena>();
  for (int64_t run = 0; run < arguments.runs; ++run) {
    for (const std::string& kernel : kernels) time_groups(model, kernel, parameters, arena, groups);
  }
  for (const Group& group : groups) std::fputs(enter(group, table).c_str(), stdout);
  write_file(table_file, print_convolution_table(table));
  return 0;
}

}  // namespace pixelwise
