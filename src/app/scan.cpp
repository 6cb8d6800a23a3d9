#include "app/scan.hpp"

#include <algorithm>
#include <cstdio>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/progress.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {
namespace {

constexpr size_t named = 5;  // samples, at most

// The samples of such findings, the first of them by name with what was found.
std::string names_of(const std::vector<const Finding*>& findings) {
  std::string text;
  for (size_t i = 0; i < std::min(named, findings.size()); ++i)
    text += format("\n  {}: {}", findings[i]->sample, findings[i]->text);
  if (findings.size() > named) text += format("\n  and {} more", findings.size() - named);
  return text;
}

template <class Wanted>
std::vector<const Finding*> findings_of(const Survey& survey, const Wanted& wanted) {
  std::vector<const Finding*> result;
  for (const Finding& finding : survey.findings) {
    if (wanted(finding)) result.push_back(&finding);
  }
  return result;
}

}  // namespace

Survey scan(const Config& config, const std::string& split) {
  Config lenient = config;  // ids that are out of range and missing files are to be found, not thrown
  lenient.model.classes = 256;
  lenient.data.on_bad = "skip";
  const std::unique_ptr<Dataset> dataset = open_dataset(lenient, split);
  Progress progress(dataset->size());
  const std::string view = dump_json(parse_json(config_json(config), "configuration").at("data"));
  return cached_survey(*dataset, config.model.classes, config.data.ignore_label,
                       format("{} {} channels", view, config.model.in_channels),
                       [&](int64_t done) { progress.update(done, "looking at " + split); });
}

CheckedSplit open_checked(const Config& config, const std::string& split) {
  CheckedSplit checked{open_dataset(config, split), {}};
  if (checked.dataset->size() == 0 || checked.dataset->files(0).empty()) return checked;
  checked.survey = scan(config, split);
  const auto bad = findings_of(*checked.survey, [](const Finding& finding) { return finding.stops_training(); });
  if (bad.empty()) return checked;
  const std::string what =
      format("{}: {} of {} samples cannot be used:{}", split, bad.size(), checked.survey->samples, names_of(bad));
  if (config.data.on_bad == "stop")
    throw DataError(what + "\nMend them, take them from the list, or leave them out with data.on_bad=skip");
  const double share = static_cast<double>(bad.size()) / static_cast<double>(checked.survey->samples);
  if (share > config.data.max_bad)
    throw DataError(
        format("{}\nThat is more than data.max_bad ({}) lets data.on_bad=skip leave out", what, config.data.max_bad));
  std::fputs(("left out: " + what + "\n").c_str(), stderr);
  std::vector<int64_t> indices;
  for (const Finding* finding : bad) {
    if (indices.empty() || indices.back() != finding->index) indices.push_back(finding->index);
  }
  checked.dataset = without_samples(std::move(checked.dataset), indices);
  return checked;
}

std::vector<std::string> data_warnings(const Config& config, const Survey& train) {
  const std::vector<std::string> names = class_names(config);
  std::vector<std::string> warnings;
  std::string missing;
  for (size_t c = 0; c < names.size(); ++c) {
    if (train.pixels[c] == 0) missing += format("{}{} ({})", missing.empty() ? "" : ", ", names[c], c);
  }
  if (!missing.empty())
    warnings.push_back(
        format("no training mask shows {}: what does not occur cannot be learned. Are model.classes and "
               "the masks' ids those of the same data set?",
               missing));
  if (train.void_pixels == 0)
    warnings.push_back(
        format("no training mask has a pixel of data.ignore_label ({}): if outlines or unlabelled "
               "pixels have another id, they are learned as a class; set data.ignore_label to it",
               config.data.ignore_label));
  const auto warn = [&](Finding::Kind kind, const char* what) {
    const auto found = findings_of(train, [&](const Finding& finding) { return finding.kind == kind; });
    if (!found.empty())
      warnings.push_back(format("{} of {} training masks {}:{}", found.size(), train.samples, what, names_of(found)));
  };
  warn(Finding::Kind::interpolated, "look resized by interpolation");
  warn(Finding::Kind::palette_as_grey, "look like colour masks that were read as grey");
  return warnings;
}

}  // namespace pixelwise
