// Trains a model as a configuration says.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app(
      "Trains a network for semantic segmentation. A run folder receives the resolved config, metrics,\n"
      "checkpoints, previews and weights; Ctrl-C saves and stops, --resume goes on.");
  pixelwise::TrainArguments a;
  app.add_option("--config", a.config, "configuration, JSON (configs/)");
  app.add_option("--data-root", a.data_root, "in place of data.root");
  app.add_option("--run", a.run, "folder of the run; default: runs/CONFIG");
  app.add_option("--set", a.settings, "key=value, for example optimizer.lr=0.01; may be repeated")->type_size(1);
  app.add_option("--weights", a.weights, "in place of model.weights.file");
  app.add_flag("--resume", a.resume, "go on from the newest checkpoint of the run");
  app.add_flag("--print-config", a.print_config, "print the resolved configuration, and stop");
  app.add_flag("--print-schema", a.print_schema, "print the JSON Schema of configurations, and stop");
  app.add_flag("--dry-run", a.dry_run, "print the table of nodes and the planned peak memory, and stop");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segtrain", [&] { return train_command(a); });
}
