// Every file of a split is looked at before the first step: a training must not end at a broken mask after a day.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/app/config.hpp"
#include "pixelwise/data/survey.hpp"

namespace pixelwise {

/// The survey of a split, with progress on stderr; out of the cache where no file has changed.
Survey scan(const Config& config, const std::string& split);

struct CheckedSplit {
  std::unique_ptr<Dataset> dataset;
  std::optional<Survey> survey;  ///< nothing where the samples are no files
};
/// A split whose samples can all be trained on. Samples that cannot: with data.on_bad `stop` throws DataError naming
/// them; with `skip` they are left out and named on stderr, unless there are more than data.max_bad of them.
CheckedSplit open_checked(const Config& config, const std::string& split);

/// What the training masks are likely to spoil silently, and what to do: classes that never occur, no void, masks that
/// were resized by interpolation or lost their palette.
std::vector<std::string> data_warnings(const Config& config, const Survey& train);

}  // namespace pixelwise
