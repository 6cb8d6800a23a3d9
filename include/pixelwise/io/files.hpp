// Files that are whole or not there: written beside their place, synced, renamed, and the folder synced.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace pixelwise {

/// Receives the bytes of a file in order.
using Sink = std::function<void(std::span<const std::byte>)>;

/// Writes `path` atomically: whatever happens, the old or the new file is there, whole. Every write, fsync, close and
/// rename is checked; throws ResourceError naming the file, the call and the system's reason, and what to do.
void write_file(const std::string& path, const std::function<void(const Sink&)>& content);
void write_file(const std::string& path, const std::string& content);
/// The whole file; throws DataError where it cannot be read or is larger than `limit` bytes.
std::string read_file(const std::string& path, int64_t limit = int64_t{1} << 30);

}  // namespace pixelwise
