// Measures the speed of a model on this machine.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app("Times a training step or an inference, against the measured peak of this machine.");
  pixelwise::BenchArguments a;
  std::string op, table;
  bool ladder = false, kernels = false;
  app.add_option("--model", a.model, "name of a model");
  app.add_option("--config", a.config, "configuration (instead of a name)");
  app.add_option("--operator", op, "name of an operator: times its cases in all passes (instead of a model)");
  app.add_flag("--ladder", ladder, "one convolution, from naive loops to Winograd (instead of a model)");
  app.add_flag("--kernels", kernels, "the names of all kernels, as PIXELWISE_KERNELS takes them (instead of a model)");
  app.add_option("--set", a.settings, "key=value; may be repeated")->type_size(1);
  app.add_option("--size", a.size, "HEIGHTxWIDTH; default: the crop");
  app.add_option("--batch", a.batch, "photos; default: the configuration's");
  app.add_option("--mode", a.mode, "train (default) or infer");
  app.add_option("--threads", a.threads, "default: all cores");
  app.add_option("--runs", a.runs, "timed runs after one that warms up; default 5");
  app.add_flag("--json", a.json, "one line of JSON (of an operator: a line for each pass of each case)");
  app.add_flag("--csv", a.csv, "comma-separated values")->excludes("--json");
  app.add_flag("--profile", a.profile, "the time of every node");
  app.add_flag("--explain", a.explain, "which kernel serves each node, and why others declined");
  app.add_option(
      "--tune", table,
      "time a training step with each kernel forced; write to this file where another than the chosen is faster");
  app.add_flag("--paced", a.paced,
               "a run for each line of standard input, whose ms it prints: to time programs in turn");
  app.add_option("--write-step", a.write_step,
                 "write weights, inputs, loss and gradients of a step to this file, and stop");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segbench", [&] {
    if (kernels) return pixelwise::bench_kernels_command();
    if (!table.empty()) return pixelwise::tune_command(a, table);
    if (ladder) return pixelwise::bench_ladder_command({a.threads, a.runs});
    return op.empty() ? bench_command(a) : pixelwise::bench_operator_command({op, a.threads, a.runs, a.json, a.csv});
  });
}
