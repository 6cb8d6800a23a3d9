// Checks a data set and a configuration before anyone trains.
#include <CLI/CLI.hpp>

#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

int main(int argc, char** argv) {
  pixelwise::restart_with_patient_threads(argv);
  CLI::App app(
      "Checks a data set and a configuration before anyone trains: classes, void, suspicious masks, class weights,\n"
      "memory and time. Exits with 3 where samples would stop the training.");
  pixelwise::DoctorArguments a;
  app.add_option("--config", a.config, "configuration, JSON (configs/)");
  app.add_option("--data-root", a.data_root, "in place of data.root");
  app.add_option("--set", a.settings, "key=value; may be repeated")->type_size(1);
  app.add_option("--out", a.out, "folder for report.html with ten samples after augmentation");
  app.set_version_flag("--version", pixelwise::version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  }
  return pixelwise::run_command("segdoctor", [&] { return doctor_command(a); });
}
