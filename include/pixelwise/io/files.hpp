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
/// rename is checked; throws ResourceError naming the file, the call and the system's reason, and what to do. `bytes`:
/// the size of the file where it is known; where the disk is full, the message tells it beside what is free.
void write_file(const std::string& path, const std::function<void(const Sink&)>& content, int64_t bytes = -1);
void write_file(const std::string& path, const std::string& content);
/// Removes the temporary files that killed writers left in a folder; only for one that nobody else writes to.
void remove_leftovers(const std::string& folder);
/// Throws the ResourceError of a `call` on `path` that failed with `reason` (errno).
[[noreturn]] void throw_cannot_write(const std::string& path, const std::string& call, int reason, int64_t bytes = -1);
/// The whole file; throws DataError where it cannot be read or is larger than `limit` bytes.
std::string read_file(const std::string& path, int64_t limit = int64_t{1} << 30);

}  // namespace pixelwise
