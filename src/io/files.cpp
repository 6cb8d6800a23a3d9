#include "pixelwise/io/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

[[noreturn]] void fail(const std::string& path, const char* call, int reason) {
  const char* remedy = reason == ENOSPC                      ? ": free some disk space"
                       : reason == EACCES || reason == EROFS ? ": choose a folder that can be written"
                                                             : "";
  throw ResourceError(format("cannot write {}: {}: {}{}", path, call, std::strerror(reason), remedy));
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// A file being written beside its place; removed again unless it was committed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path) : path_(path), temporary_(path + ".tmp." + std::to_string(getpid())) {
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(path_, "open", errno);
  }
  ~TemporaryFile() {
    if (fd_ >= 0) close(fd_);
    if (!committed_) unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(path_, "write", written < 0 ? errno : EIO);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void commit() {
    if (fsync(fd_) != 0) fail(path_, "fsync", errno);
    const int fd = fd_;
    fd_ = -1;
    if (close(fd) != 0) fail(path_, "close", errno);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "rename", errno);
    committed_ = true;
    const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) fail(path_, "open the folder", errno);
    const int synced = fsync(folder), reason = errno;
    close(folder);
    if (synced != 0 && reason != EINVAL) fail(path_, "fsync the folder", reason);  // EINVAL: cannot be synced
  }

 private:
  std::string path_, temporary_;
  int fd_ = -1;
  bool committed_ = false;
};

}  // namespace

void write_file(const std::string& path, const std::function<void(const Sink&)>& content) {
  TemporaryFile file(path);
  content([&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

void write_file(const std::string& path, const std::string& content) {
  write_file(path, [&](const Sink& sink) { sink(std::as_bytes(std::span(content))); });
}

std::string read_file(const std::string& path, int64_t limit) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw DataError(format("cannot read {}: {}", path, std::strerror(errno)));
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat info {};
  if (fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) throw DataError(format("cannot read {}: not a file", path));
  if (info.st_size > limit)
    throw DataError(format("{} has {} bytes, more than the {} that are read", path, info.st_size, limit));
  std::string content;
  char buffer[1 << 16];
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw DataError(format("cannot read {}: {}", path, std::strerror(errno)));
    content.append(buffer, static_cast<size_t>(got));
    if (static_cast<int64_t>(content.size()) > limit)
      throw DataError(format("{} is longer than {} bytes", path, limit));
  }
  return content;
}

}  // namespace pixelwise
