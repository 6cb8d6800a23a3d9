// Predictions that any tool wrote: a PNG of class ids for every sample of a data set.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/data/dataset.hpp"

namespace pixelwise {

class PredictionFolder {
 public:
  /// For the sample ID (an image's path, where a list names it so: without its suffix) FOLDER/ID.png, else
  /// FOLDER/NAME.png with the last part of ID. Throws DataError, before any is read, naming those that are missing,
  /// and two samples that would share one.
  PredictionFolder(const std::string& folder, const Dataset& dataset);
  const std::string& path(int64_t index) const { return paths_.at(static_cast<size_t>(index)); }
  /// By index, palette or grey; throws DataError where it has another size than the mask.
  Image read(int64_t index, const Image& mask) const;

 private:
  std::vector<std::string> paths_;
};

}  // namespace pixelwise
