#include <cstdio>
#include <filesystem>

#include "app/report.hpp"
#include "app/weights_of_run.hpp"
#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/progress.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/train/signal.hpp"

namespace pixelwise {

std::string weights_of_run(const std::string& run) {
  for (const char* name : {"best.safetensors", "weights.safetensors"}) {
    const std::string path = run + "/" + name;
    if (std::filesystem::exists(path)) return path;
  }
  throw DataError(format("{} holds neither best.safetensors nor weights.safetensors: is it the folder of a run?", run));
}

namespace {

std::string csv_of(const ConfusionMatrix& matrix, const std::vector<std::string>& names) {
  const Metrics metrics = metrics_of(matrix);
  const auto cell = [](const std::optional<double>& value) { return value ? format("{}", *value) : std::string(); };
  std::string text = "class,iou,accuracy\n";
  for (size_t c = 0; c < names.size(); ++c)
    text += format("{},{},{}\n", names[c], cell(metrics.iou[c]), cell(metrics.accuracy[c]));
  return text;
}

}  // namespace

int eval_command(const EvalArguments& arguments) {
  if (arguments.run.empty() == arguments.weights.empty()) throw UsageError("give --run DIR or --weights FILE");
  const std::string weights = arguments.run.empty() ? arguments.weights : weights_of_run(arguments.run);
  TrainedModel model(weights);
  const std::string own = config_json(model.config());
  Config config = arguments.config.empty() ? parse_config_text(own, weights, arguments.settings)
                                           : load_config(arguments.config, arguments.settings);
  if (!arguments.data_root.empty()) config.data.root = arguments.data_root;
  config.model = model.config().model;  // the weights decide
  check_config(config);

  const std::unique_ptr<Dataset> dataset = open_dataset(config, arguments.split);
  catch_stop_signals();
  Evaluator evaluator(evaluator_options(config), model.maker());
  Progress progress(dataset->size());
  const auto matrix = evaluator.evaluate(*dataset, {}, [&](int64_t done, int64_t) { progress.update(done); });
  progress.finish();
  if (!matrix) return 128 + stop_signal();

  const std::vector<std::string> names = class_names(config);
  JsonValue::Object json = metrics_json(*matrix, names);
  const std::optional<Size> resize = config.data.resize;
  json.insert(json.begin(), {"resized_to", resize ? JsonValue(JsonValue::Array{resize->h, resize->w}) : JsonValue()});
  json.insert(json.begin(), {"weights", weights});
  if (!arguments.json.empty()) write_file(arguments.json, dump_json(JsonValue(json), 2) + "\n");
  if (!arguments.csv.empty()) write_file(arguments.csv, csv_of(*matrix, names));
  const std::string measured_at =
      resize ? format("photos and masks resized to {}: the numbers are those of this size\n", to_string(*resize)) : "";
  std::fputs(format("weights: {}\n{}{}", weights, measured_at, metrics_table(metrics_of(*matrix), names)).c_str(),
             stdout);
  return 0;
}

}  // namespace pixelwise
