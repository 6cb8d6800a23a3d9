// What the targets share. Each is a libFuzzer program (https://llvm.org/docs/LibFuzzer.html): it is called with
// millions of inputs, mutated from those in its seeds (seeds.cpp) that reached new code. tools/fuzz.sh runs them.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace pixelwise {

/// A file without a disk, under a path that any reader can open.
class FileInMemory {
 public:
  FileInMemory() : file_(memfd_create("input", MFD_CLOEXEC)), path_(format("/proc/self/fd/{}", file_)) {
    if (file_ < 0) std::abort();
  }
  ~FileInMemory() { close(file_); }
  void put(const std::string& bytes) {
    const auto size = static_cast<ssize_t>(bytes.size());
    if (ftruncate(file_, 0) != 0 || pwrite(file_, bytes.data(), bytes.size(), 0) != size) std::abort();
  }
  const std::string& path() const { return path_; }

 private:
  int file_;
  std::string path_;
};

/// Whether `read` took its input. To refuse it with an Error is right too; whatever else is thrown ends the target.
template <class Read>
bool accepted(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// What has to hold for an input that was accepted.
inline void require(bool holds, const char* what) {
  if (holds) return;
  fmt::print(stderr, "broken promise: {}\n", what);
  std::abort();
}

}  // namespace pixelwise
