#include <cstdio>
#include <filesystem>

#include "app/passport.hpp"
#include "app/prediction_folder.hpp"
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

// Nothing where a stop signal ended it early.
std::optional<ConfusionMatrix> measure_predictions(const Config& config, const Dataset& dataset,
                                                   const std::string& folder, Passport& passport) {
  const PredictionFolder predictions(folder, dataset);
  ConfusionMatrix matrix(config.model.classes, config.data.ignore_label);
  Progress progress(dataset.size());
  for (int64_t i = 0; i < dataset.size(); ++i) {
    if (stop_signal()) return std::nullopt;
    const Sample sample = dataset.read(i);
    const Image prediction = predictions.read(i, sample.mask);
    matrix.add(predictions.path(i), sample.mask, prediction);
    passport.add(sample, prediction);
    progress.update(i + 1);
  }
  progress.finish();
  return matrix;
}

std::optional<ConfusionMatrix> measure_weights(const Config& config, const Dataset& dataset, TrainedModel& model,
                                               Passport& passport) {
  Evaluator evaluator(evaluator_options(config), model.maker());
  Progress progress(dataset.size());
  const auto matrix = evaluator.evaluate(
      dataset,
      [&](const Sample& sample, const Image& prediction, const Executor&) { passport.add(sample, prediction); },
      [&](int64_t done, int64_t) { progress.update(done); });
  progress.finish();
  return matrix;
}

// What every number of the evaluation means.
JsonValue conventions_json(const ConfusionMatrix& matrix) {
  JsonValue::Object meanings;
  const Report report = report_of(matrix, Convention::pixelwise);
  for (const ReportNumber& number : report.numbers) meanings.emplace_back(number.name, number.meaning);
  for (const ReportColumn& column : report.columns) meanings.emplace_back(column.name, column.meaning);
  return meanings;
}

// As another tool prints it; its NaN is null.
JsonValue report_json(const Report& report) {
  JsonValue::Object numbers, classes, meanings;
  for (const ReportNumber& number : report.numbers) {
    numbers.emplace_back(number.name, number.value);
    meanings.emplace_back(number.name, number.meaning);
  }
  for (const ReportColumn& column : report.columns) {
    classes.emplace_back(column.name, JsonValue::Array(column.values.begin(), column.values.end()));
    meanings.emplace_back(column.name, column.meaning);
  }
  return JsonValue::Object{{"convention", to_string(report.convention)},
                           {"source", report.source},
                           {"numbers", numbers},
                           {"classes", classes},
                           {"meanings", meanings}};
}

void write_report(const EvalArguments& arguments, const Config& config, const ConfusionMatrix& matrix,
                  const Passport& passport, const Measured& measured) {
  const std::vector<std::string> names = class_names(config);
  const Report report = report_of(matrix, measured.convention);
  JsonValue::Object json = metrics_json(matrix, names);
  if (!measured.weights.empty()) json.insert(json.begin(), {"weights", measured.weights});
  json.emplace_back("conventions", conventions_json(matrix));
  if (measured.convention != Convention::pixelwise) json.emplace_back("report", report_json(report));
  if (!arguments.json.empty()) {
    json.emplace_back("passport", passport.json(config, measured));
    write_file(arguments.json, dump_json(JsonValue(json), 2) + "\n");
  }
  if (!arguments.csv.empty()) write_file(arguments.csv, report_csv(report, names));
  const std::string subject =
      measured.weights.empty() ? "predictions: " + measured.predictions + "/" : "weights: " + measured.weights;
  std::fputs(format("{}\n{}{}", subject, report_table(report, names), passport.line(config, measured)).c_str(), stdout);
}

int evaluate_predictions(const EvalArguments& arguments, Convention convention) {
  if (arguments.config.empty())
    throw UsageError("--from-pngs wants --config FILE: classes and data (the config.json of a run, for example)");
  Config config = load_config(arguments.config, arguments.settings);
  if (!arguments.data_root.empty()) config.data.root = arguments.data_root;
  const std::unique_ptr<Dataset> dataset = open_dataset(config, arguments.split);
  catch_stop_signals();
  Passport passport;
  const auto matrix = measure_predictions(config, *dataset, arguments.from_pngs, passport);
  if (!matrix) return 128 + stop_signal();
  write_report(arguments, config, *matrix, passport, {"", arguments.from_pngs, arguments.split, convention});
  return 0;
}

}  // namespace

int eval_command(const EvalArguments& arguments) {
  const Convention convention = convention_of(arguments.convention);
  if (!arguments.run.empty() + !arguments.weights.empty() + !arguments.from_pngs.empty() != 1)
    throw UsageError("give one of --run DIR, --weights FILE and --from-pngs DIR");
  if (!arguments.from_pngs.empty()) return evaluate_predictions(arguments, convention);
  const std::string weights = arguments.run.empty() ? arguments.weights : weights_of_run(arguments.run);
  TrainedModel model(weights);
  const std::string own = config_json(model.config());
  Config config = arguments.config.empty() ? parse_config_text(own, weights, arguments.settings)
                                           : load_config(arguments.config, arguments.settings);
  if (!arguments.data_root.empty()) config.data.root = arguments.data_root;
  config.model = model.config().model;  // the weights decide
  config.precision = model.config().precision;
  check_config(config);

  const std::unique_ptr<Dataset> dataset = open_dataset(config, arguments.split);
  catch_stop_signals();
  Passport passport;
  const auto matrix = measure_weights(config, *dataset, model, passport);
  if (!matrix) return 128 + stop_signal();
  write_report(arguments, config, *matrix, passport, {weights, "", arguments.split, convention});
  return 0;
}

}  // namespace pixelwise
