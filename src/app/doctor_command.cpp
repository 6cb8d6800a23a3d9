// segdoctor: what a training would meet, before anyone trains.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "app/memory.hpp"
#include "app/pictures.hpp"
#include "app/scan.hpp"
#include "app/step_timer.hpp"
#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/progress.hpp"
#include "pixelwise/data/loader.hpp"
#include "pixelwise/data/survey.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/nn/describe.hpp"

namespace pixelwise {
namespace {

constexpr size_t named_findings = 5;  // of each kind

double percent(int64_t part, int64_t all) {
  return all > 0 ? 100 * static_cast<double>(part) / static_cast<double>(all) : 0;
}

std::string summary(const std::string& split, const Survey& s) {
  const std::string sizes = s.smallest == s.largest
                                ? to_string(s.smallest)
                                : format("from {} to {}", to_string(s.smallest), to_string(s.largest));
  return format("{}: {} samples, {} readable, {} (height x width), {:.1f}% void\n", split, s.samples, s.read,
                s.read ? sizes : "no size", percent(s.void_pixels, s.all_pixels));
}

std::string histogram(const Config& config, const Survey& train, const Survey& val,
                      const std::vector<double>& weights) {
  const std::vector<std::string> names = class_names(config);
  const auto counted = [](const Survey& s) { return s.all_pixels - s.void_pixels; };
  std::string text =
      format("{:<16} {:>3} {:>8} {:>8} {:>8} {:>8} {:>8}\n{:<16} {:>3} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "", "",
             "train", "", "val", "", "", "class", "id", "pixels", "photos", "pixels", "photos", "weight");
  for (size_t c = 0; c < names.size(); ++c)
    text += format("{:<16} {:>3} {:>7.2f}% {:>8} {:>7.2f}% {:>8} {:>8.3f}\n", names[c], c,
                   percent(train.pixels[c], counted(train)), train.shown[c], percent(val.pixels[c], counted(val)),
                   val.shown[c], weights.empty() ? 0 : weights[c]);
  return text;
}

std::string paste(const std::vector<double>& weights) {
  std::string numbers;
  for (const double weight : weights) numbers += format("{}{:.3f}", numbers.empty() ? "" : ", ", weight);
  return format("by median frequency: \"loss\": {{ \"class_weights\": [{}] }}\n", numbers);
}

const char* heading(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::unreadable:
      return "cannot be read (training would stop)";
    case Finding::Kind::out_of_range:
      return "hold ids out of range (training would stop)";
    case Finding::Kind::palette_as_grey:
      return "look like a colour mask that was read as grey";
    case Finding::Kind::interpolated:
      return "look resized by interpolation";
    case Finding::Kind::one_class:
      return "show one class alone, or none";
  }
  return "";
}

bool stops_training(const Survey& s) {
  return std::any_of(s.findings.begin(), s.findings.end(), [](const Finding& f) { return f.stops_training(); });
}

std::string findings_text(const std::string& split, const Survey& s) {
  std::string text;
  for (const auto kind : {Finding::Kind::unreadable, Finding::Kind::out_of_range, Finding::Kind::palette_as_grey,
                          Finding::Kind::interpolated, Finding::Kind::one_class}) {
    size_t count = 0;
    std::string named;
    for (const Finding& finding : s.findings) {
      if (finding.kind == kind && count++ < named_findings)
        named += format("    {}: {}\n", finding.sample, finding.text);
    }
    if (count == 0) continue;
    if (count > named_findings) named += format("    and {} more\n", count - named_findings);
    text += format("  {}: {} of {} samples {}\n{}", split, count, s.samples, heading(kind), named);
  }
  return text;
}

std::string missing_classes(const Config& config, const Survey& train) {
  const std::vector<std::string> names = class_names(config);
  std::string text;
  for (size_t c = 0; c < names.size(); ++c) {
    if (train.pixels[c] == 0)
      text += format("  train: no pixel is of class {} ({}): it cannot be learned\n", c, names[c]);
  }
  if (train.void_pixels == 0 && train.read > 0)
    text +=
        format("  train: no pixel is void (data.ignore_label {}): is another id meant?\n", config.data.ignore_label);
  return text;
}

// The plan's memory, what the model warns of, and the time of a few real steps.
std::string cost(const Config& config, int64_t samples, Size photo) {
  const Size size = training_size(config, *open_dataset(config, "train"));
  const int64_t available = available_memory();
  const double mib = 1 << 20;
  std::string text = format("memory: {:.0f} MiB are planned, {:.0f} MiB are available\n",
                            static_cast<double>(training_memory(config, size, photo).total()) / mib,
                            static_cast<double>(available) / mib);
  if (const std::string shortage = memory_shortage(config, size, photo, available); !shortage.empty())
    return text + "time: not measured; " + shortage + "\n";
  const ModelGraph model{config, training_graph(config, size), true};
  for (const std::string& warning : warnings_of(model.graph)) text += format("warning: {}\n", warning);
  Parameters parameters;
  parameters.ensure(model.graph, 1);
  Executor executor(model.graph, parameters, std::make_shared<Arena>(), precision_of(config));
  StepTimer timer(model, executor, parameters);
  std::vector<double> seconds;
  for (int i = 0; i < 4; ++i) seconds.push_back(timer.run());
  std::sort(seconds.begin() + 1, seconds.end());  // the first one warms up
  const int64_t photos = config.train.batch_size * config.train.accumulate;
  const int64_t steps = total_steps(config, std::max<int64_t>(1, samples / photos));
  const double step = seconds[2] * static_cast<double>(config.train.accumulate);
  return text + format("time: {:.0f} ms a step of {} photos, {} steps: {} without loading and validation\n", step * 1e3,
                       photos, steps, duration_text(step * static_cast<double>(steps)));
}

// Ten samples of the first batch as training sees them: photo, mask, one over the other.
void write_samples(const Config& config, const std::string& path) {
  const std::unique_ptr<Dataset> dataset = open_dataset(config, "train");
  LoaderOptions options;
  options.batch_size = std::min<int64_t>(10, dataset->size());
  options.workers = 0;
  options.seed = static_cast<uint64_t>(config.seed);
  options.augment = augment_options(config);
  options.normalize = config.model.normalize;
  options.ignore_label = config.data.ignore_label;
  std::vector<std::vector<Picture>> rows;
  for (const Sample& sample : Loader(*dataset, options).next().samples)
    rows.push_back(
        {{sample.id, sample.photo}, {"mask", colour_ids(sample.mask)}, {"both", overlay(sample.photo, sample.mask)}});
  write_png(path, draw_sheet(rows));
}

std::string html(const std::string& title, const std::string& report) {
  std::string escaped;
  for (const char c : report) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return format(
      "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{0}</title>\n<h1>{0}</h1>\n<pre>\n{1}</pre>\n"
      "<h2>Ten samples after augmentation</h2>\n<img src=\"samples.png\" alt=\"photo, mask, both\">\n",
      title, escaped);
}

}  // namespace

int doctor_command(const DoctorArguments& arguments) {
  if (arguments.config.empty()) throw UsageError("--config FILE is missing");
  Config config = load_config(arguments.config, arguments.settings);
  if (!arguments.data_root.empty()) config.data.root = arguments.data_root;
  const Survey train = scan(config, "train"), val = scan(config, "val");
  const std::vector<double> weights = median_frequency_weights(train, config.model.classes);
  const std::string findings =
      missing_classes(config, train) + findings_text("train", train) + findings_text("val", val);
  const bool stops = stops_training(train);
  std::string report = summary("train", train) + summary("val", val) + "\n" + histogram(config, train, val, weights) +
                       paste(weights) + "\nfindings:\n" + (findings.empty() ? "  none\n" : findings) + "\n";
  if (!stops) report += cost(config, train.samples, validation_size(config, val.largest));
  std::fputs(report.c_str(), stdout);
  if (!arguments.out.empty()) {
    std::filesystem::create_directories(arguments.out);
    if (!stops) write_samples(config, arguments.out + "/samples.png");
    write_file(arguments.out + "/report.html", html("segdoctor: " + arguments.config, report));
  }
  return stops || stops_training(val) ? static_cast<int>(ExitCode::data) : 0;
}

}  // namespace pixelwise
