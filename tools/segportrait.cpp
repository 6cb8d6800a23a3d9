// Portrait mode from one camera.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app("Blurs the background of a photo: the subject is what a segmentation network finds.");
  pixelwise::PortraitArguments a;
  app.add_option("photo", a.photo, "the photo")->required();
  app.add_option("portrait", a.out, "the result, a PNG")->required();
  app.add_option("--weights", a.weights, "weights of a run; nothing else is needed");
  app.add_option("--run", a.run, "folder of a run (instead of --weights)");
  app.add_option("--class", a.classes, "class of the subject, default person; may be repeated")->type_size(1);
  app.add_option("--blur", a.blur, "radius of the largest disc, in percent of the photo's longer side; default 2.5")
      ->check(CLI::Range(0.0, 10.0));
  app.add_option("--mask", a.mask, "also write the refined mask of the subject, a grey PNG");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segportrait", [&] { return portrait_command(a); });
}
