// The folder of a run: config, metrics, checkpoints, previews. One trainer at a time; never the wrong run.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pixelwise {

class RunFolder {
 public:
  /// Opens `path` for a run with this (resolved) config: makes the folder, or continues in one that holds the same
  /// config and `resume` is asked for. Throws UsageError where it holds another run, or holds a run and resume is
  /// false; ResourceError where it cannot be written, or another trainer holds its lock (naming process, host and
  /// since when). What a killed trainer left half-written is removed.
  RunFolder(const std::string& path, const std::string& config, bool resume);
  ~RunFolder();

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const;  ///< a path within
  std::string checkpoint(int64_t step) const;       ///< checkpoints/step-00000120.safetensors

  /// Appends one line (without line feed) to metrics.jsonl.
  void append_metrics(const std::string& line);
  /// Puts what was appended on the disk: before a checkpoint that counts on it.
  void sync_metrics();
  /// Drops the lines of metrics.jsonl after `step`, a last line that was cut off, and all from one that is unreadable.
  void truncate_metrics(int64_t step);

 private:
  std::string path_;
  int lock_ = -1;
};

/// Checkpoints of a run, the newest first.
std::vector<std::string> list_checkpoints(const std::string& run);
/// Removes all but the newest `keep`.
void prune_checkpoints(const std::string& run, size_t keep);

}  // namespace pixelwise
