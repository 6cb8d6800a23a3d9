// The readers behind open_dataset.
#pragma once
#include <memory>

#include "pixelwise/data/dataset.hpp"

namespace pixelwise {

/// What every reader has to know about the samples that are wanted.
struct SampleFormat {
  int64_t classes = 0, channels = 3, ignore_label = 255;
  bool missing_files = false;  // a list may name some
};

/// Photos and masks in files: PASCAL VOC's devkit, and lists of "image mask" pairs.
std::unique_ptr<Dataset> open_voc(const DataOptions& options, const std::string& list, const SampleFormat& format);
std::unique_ptr<Dataset> open_list(const DataOptions& options, const std::string& list, const SampleFormat& format);
/// Scenes drawn by a generator.
std::unique_ptr<Dataset> open_shapes(const DataOptions& options, const std::string& split, const std::string& scenes,
                                     const SampleFormat& format, uint64_t seed);

}  // namespace pixelwise
