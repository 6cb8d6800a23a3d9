#include "pixelwise/io/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

constexpr const char* temporary_infix = ".tmp.";  // before the number of the process

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string size_text(int64_t bytes) {
  const double kib = static_cast<double>(bytes) / 1024;
  if (kib < 1) return format("{} bytes", bytes);
  return kib < 1024 ? format("{:.1f} KiB", kib) : format("{:.1f} MiB", kib / 1024);
}

// What is to be done about a failed write.
std::string remedy(const std::string& path, int reason, int64_t bytes) {
  if (reason == EACCES || reason == EPERM || reason == EROFS) return ": choose a folder that can be written";
  if (reason != ENOSPC && reason != EDQUOT && reason != EFBIG) return "";
  struct statvfs disk {};
  std::string text;
  if (bytes >= 0) text = format(": {} needed", size_text(bytes));
  if (statvfs(folder_of(path).c_str(), &disk) == 0)
    text += format("{} {} free", bytes >= 0 ? "," : ":",
                   size_text(static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize)));
  return text + ": free some disk space";
}

// A file being written beside its place; removed again unless it was committed.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& path, int64_t bytes)
      : path_(path), temporary_(path + temporary_infix + std::to_string(getpid())), bytes_(bytes) {
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd_ < 0) give_up("open", errno);
  }
  ~TemporaryFile() { discard(); }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) give_up("write", written < 0 ? errno : EIO);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void commit() {
    if (fsync(fd_) != 0) give_up("fsync", errno);
    if (close(std::exchange(fd_, -1)) != 0) give_up("close", errno);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) give_up("rename", errno);
    committed_ = true;
    const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) throw_cannot_write(path_, "open the folder", errno);
    const int synced = fsync(folder), reason = errno;
    close(folder);
    if (synced != 0 && reason != EINVAL)  // EINVAL: cannot be synced
      throw_cannot_write(path_, "fsync the folder", reason);
  }

 private:
  void discard() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
    if (!committed_) unlink(temporary_.c_str());
  }
  // Without the temporary file, so that the free space in the message is what there is.
  [[noreturn]] void give_up(const char* call, int reason) {
    discard();
    throw_cannot_write(path_, call, reason, bytes_);
  }

  std::string path_, temporary_;
  int64_t bytes_;
  int fd_ = -1;
  bool committed_ = false;
};

}  // namespace

void throw_cannot_write(const std::string& path, const std::string& call, int reason, int64_t bytes) {
  throw ResourceError(
      format("cannot write {}: {}: {}{}", path, call, std::strerror(reason), remedy(path, reason, bytes)));
}

void write_file(const std::string& path, const std::function<void(const Sink&)>& content, int64_t bytes) {
  TemporaryFile file(path, bytes);
  content([&](std::span<const std::byte> piece) { file.write(piece); });
  file.commit();
}

void write_file(const std::string& path, const std::string& content) {
  const auto send = [&](const Sink& sink) { sink(std::as_bytes(std::span(content))); };
  write_file(path, send, static_cast<int64_t>(content.size()));
}

void remove_leftovers(const std::string& folder) {
  std::error_code ignored;  // what cannot be removed does no harm
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t at = name.rfind(temporary_infix);
    if (at == std::string::npos) continue;
    const std::string process = name.substr(at + std::strlen(temporary_infix));
    if (!process.empty() && process.find_first_not_of("0123456789") == std::string::npos)
      std::filesystem::remove(entry.path(), ignored);
  }
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
