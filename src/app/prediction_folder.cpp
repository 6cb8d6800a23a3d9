#include "app/prediction_folder.hpp"

#include <filesystem>
#include <map>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

namespace fs = std::filesystem;

PredictionFolder::PredictionFolder(const std::string& folder, const Dataset& dataset) {
  if (!fs::is_directory(folder)) throw DataError(format("{}: no such folder", folder));
  constexpr int64_t named = 5;
  std::map<std::string, std::string> owners;  // the sample that a file belongs to
  std::string missing;
  int64_t count = 0;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const std::string id = dataset.id(i);
    const fs::path stem = is_image_path(id) ? fs::path(id).replace_extension() : fs::path(id);
    fs::path path = fs::path(folder) / stem.relative_path();
    path += ".png";
    fs::path flat = fs::path(folder) / stem.filename();
    flat += ".png";
    if (!fs::is_regular_file(path) && fs::is_regular_file(flat)) path = flat;
    if (!fs::is_regular_file(path) && count++ < named) missing += "\n  " + path.string();
    const auto [owner, is_new] = owners.emplace(path.string(), id);
    if (!is_new)
      throw DataError(format("{} would be the prediction of both {} and {}: keep the list's folders", path.string(),
                             owner->second, id));
    paths_.push_back(path.string());
  }
  if (count > named) missing += format("\n  and {} more", count - named);
  if (count > 0)
    throw DataError(
        format("{} of {} predictions are missing; nothing was measured:{}", count, dataset.size(), missing));
}

Image PredictionFolder::read(int64_t index, const Image& mask) const {
  Image prediction = read_mask(path(index));
  if (prediction.size() != mask.size())
    throw DataError(
        format("{}: the prediction is {}, its mask {}: write predictions at the photo's own size; resized ids are "
               "other predictions",
               path(index), to_string(prediction.size()), to_string(mask.size())));
  return prediction;
}

}  // namespace pixelwise
