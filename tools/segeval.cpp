// Measures a trained model on a data set.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app("Evaluates a trained model: IoU and accuracy of every class, on standard output.");
  pixelwise::EvalArguments a;
  app.add_option("--run", a.run, "folder of a run: its best.safetensors, else weights.safetensors, and its data");
  app.add_option("--weights", a.weights, "weights of a run (instead of --run)");
  app.add_option("--from-pngs", a.from_pngs,
                 "folder with a prediction ID.png (palette or grey: class ids) for every sample, by any tool, instead "
                 "of weights; wants --config");
  app.add_option("--config", a.config, "configuration whose data are used; default: the weights' own");
  app.add_option("--data-root", a.data_root, "in place of data.root");
  app.add_option("--split", a.split, "val (default) or train");
  app.add_option("--set", a.settings, "key=value, for example eval.protocol=padded; may be repeated")->type_size(1);
  app.add_option("--convention", a.convention,
                 "whose numbers to print: pixelwise (default), voc, torchvision, mmseg or paddleseg");
  app.add_option("--json", a.json, "file for all numbers, the confusion matrix and how they were measured");
  app.add_option("--csv", a.csv, "file for the table");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segeval", [&] { return eval_command(a); });
}
