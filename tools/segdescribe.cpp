// Prints what a model is made of.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app("Prints the nodes of a model: shape, parameters, GFLOP, receptive field, stride, bytes.");
  pixelwise::DescribeArguments a;
  a.mode = "infer";
  a.batch = 1;
  app.add_option("model", a.model, "name of a model");
  app.add_option("--config", a.config, "configuration (instead of a name)");
  app.add_option("--set", a.settings, "key=value, for example model.options.width=0.25; may be repeated")->type_size(1);
  app.add_option("--size", a.size, "HEIGHTxWIDTH; default: the crop");
  app.add_option("--batch", a.batch, "photos; default 1");
  app.add_option("--mode", a.mode, "infer (default) or train");
  app.add_flag("--list", a.list, "print the models: parameters, GFLOP of a photo of 513x513 in 21 classes, paper");
  app.add_option("--svg", a.svg, "draw the model to scale into this file; --size is 513x513 by default");
  app.add_flag("--json", a.json, "as JSON");
  app.add_flag("--csv", a.csv, "as comma-separated values")->excludes("--json");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segdescribe", [&] { return describe_command(a); });
}
