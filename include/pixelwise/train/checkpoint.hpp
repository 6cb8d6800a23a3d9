// Checkpoints: everything that a training needs to go on as if it had never stopped, in one safetensors file.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/nn/parameters.hpp"
#include "pixelwise/train/optimizer.hpp"

namespace pixelwise {

/// What a checkpoint holds besides tensors. Random numbers need no state: they are keyed by these counters.
struct CheckpointInfo {
  int64_t step = 0;             ///< steps done: the next one has this index
  int64_t epoch = 0;            ///< of the last step
  int64_t optimizer_steps = 0;  ///< Adam's bias correction
  std::optional<double> best_metric;
  int64_t best_step = 0;
  std::string config;      ///< the resolved configuration, JSON
  std::string build, isa;  ///< filled in when saved
};

/// Writes parameters and states under their names and the optimiser's states as "optimizer.STATE", atomically.
void save_checkpoint(const std::string& path, const CheckpointInfo& info, Parameters& parameters, Optimizer& optimizer);
/// Restores all of them, bit by bit, and the optimiser's step count. Throws DataError naming file and tensor where
/// something is missing, unexpected, misshapen or not finite, or where the checksum of numbers and metadata is wrong.
CheckpointInfo load_checkpoint(const std::string& path, Parameters& parameters, Optimizer& optimizer);
/// The counters alone.
CheckpointInfo read_checkpoint_info(const std::string& path);

struct LatestCheckpoint {
  std::string path;
  CheckpointInfo info;
  std::vector<std::string> damaged;  ///< messages about newer ones that could not be loaded, newest first
};
/// Tries checkpoints in the order of `paths` (list_checkpoints gives the newest first). Nothing: there are no paths.
/// Throws DataError with all messages where every one is damaged.
std::optional<LatestCheckpoint> load_latest_checkpoint(const std::vector<std::string>& paths, Parameters& parameters,
                                                       Optimizer& optimizer);

}  // namespace pixelwise
