// Batches, prepared ahead by worker threads in bounded memory. Order and random numbers depend only on seed, epoch and
// sample.
#pragma once
#include <memory>
#include <vector>

#include "pixelwise/data/augment.hpp"

namespace pixelwise {

struct LoaderOptions {
  int64_t batch_size = 4;
  int64_t workers = 1;  ///< 0: read in the calling thread
  uint64_t seed = 1;
  bool shuffle = true;
  bool drop_last = true;  ///< a last partial batch is dropped (a dataset smaller than a batch is wrapped around)
  AugmentOptions augment;
  Normalize normalize;
  int64_t ignore_label = 255;
};

/// Augmented samples of one step, in order.
struct Batch {
  int64_t epoch = 0, step = 0;  ///< step: batches since the beginning of training
  std::vector<Sample> samples;
};

class Loader {
 public:
  /// Starts at batch `first_step`, so that a resumed run continues in mid-epoch.
  Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_step = 0);
  ~Loader();
  int64_t batches_per_epoch() const;
  Batch next();  ///< rethrows what a worker met

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pixelwise
