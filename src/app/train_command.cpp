#include <cstdio>
#include <filesystem>

#include "app/memory.hpp"
#include "app/report.hpp"
#include "app/training.hpp"
#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/describe.hpp"
#include "pixelwise/train/signal.hpp"

namespace pixelwise {
namespace {

Config config_of(const TrainArguments& arguments) {
  std::string path = arguments.config;
  if (path.empty() && arguments.resume && !arguments.run.empty()) path = arguments.run + "/config.json";
  if (path.empty()) throw UsageError("--config FILE is missing (or --resume --run DIR)");
  Config config = load_config(path, arguments.settings);
  if (!arguments.data_root.empty()) config.data.root = arguments.data_root;
  if (!arguments.weights.empty()) config.model.weights.file = arguments.weights;
  return config;
}

double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// The table of nodes and what the training will keep in memory at once.
void dry_run(const Config& config) {
  Size size = config.augment.crop;
  if (size.h * size.w == 0) size = training_size(config, *open_dataset(config, "train"));
  const Graph graph = training_graph(config, size);
  print_warnings(warnings_of(graph));
  std::fputs(describe(graph, make_plan(graph, graph.all(), precision_of(config)), graph.all()).c_str(), stdout);
  const TrainingMemory memory = training_memory(config, size, {});
  std::fputs(format("planned peak memory: {:.1f} MiB (arena {:.1f}, parameters and optimiser {:.1f}, loading {:.1f})\n",
                    mib(memory.total()), mib(memory.arena), mib(memory.parameters), mib(memory.loading))
                 .c_str(),
             stdout);
  if (const std::string shortage = memory_shortage(config, size, {}, available_memory()); !shortage.empty())
    std::fputs(("on this machine it would be refused: " + shortage + "\n").c_str(), stdout);
}

}  // namespace

int train_command(const TrainArguments& arguments) {
  if (arguments.print_schema) return std::fputs(config_schema().c_str(), stdout) < 0;
  const Config config = config_of(arguments);
  if (arguments.print_config) return std::fputs(config_json(config).c_str(), stdout) < 0;
  if (arguments.dry_run) return dry_run(config), 0;
  std::string run = arguments.run;
  if (run.empty()) run = "runs/" + std::filesystem::path(arguments.config).stem().string();
  catch_stop_signals();
  share_one_heap();
  Training training(config, run, arguments.resume);
  const int signal = training.run();
  return signal ? 128 + signal : 0;
}

}  // namespace pixelwise
