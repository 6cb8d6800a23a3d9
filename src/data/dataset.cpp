#include "pixelwise/data/dataset.hpp"

#include "core/format.hpp"
#include "data/readers.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

std::unique_ptr<Dataset> open_dataset(const DataOptions& options, const std::string& split, int64_t classes,
                                      int64_t channels, uint64_t seed) {
  if (split != "train" && split != "val") throw UsageError(format("split '{}': use train or val", split));
  const std::string& list = split == "train" ? options.train : options.val;
  const SampleFormat samples{classes, channels, options.ignore_label, options.missing_files};
  if (options.format == "voc") return open_voc(options, list, samples);
  if (options.format == "list") return open_list(options, list, samples);
  if (options.format == "shapes") return open_shapes(options, split, list, samples, seed);
  throw UsageError(format("data.format is '{}'; use voc, list or shapes", options.format));
}

}  // namespace pixelwise
