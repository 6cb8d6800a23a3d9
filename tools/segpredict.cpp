// Segments photos.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app("Segments photos: NAME.png (class ids, palette) and NAME_overlay.png for every photo NAME.");
  pixelwise::PredictArguments a;
  app.add_option("inputs", a.inputs, "photos, folders, or lists (text files with a photo on each line)");
  app.add_option("--weights", a.weights, "weights of a run; nothing else is needed");
  app.add_option("--run", a.run, "folder of a run (instead of --weights)");
  app.add_option("--out", a.out, "folder for the results");
  app.add_flag("--planes", a.planes, "also NAME_planes.png: the score plane of every class");
  app.add_flag("--probabilities", a.probabilities,
               "also NAME.npy: float32, height x width x classes (of samples: their mean)");
  app.add_option("--samples", a.samples,
                 "keep dropout on and predict the mean of so many passes; also NAME_mean.png and NAME_variance.png")
      ->check(CLI::Range(1, 100000));
  app.add_option("--seed", a.seed, "of the samples; default 0");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segpredict", [&] { return predict_command(a); });
}
