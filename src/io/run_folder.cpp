#include "pixelwise/io/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {

namespace fs = std::filesystem;

namespace {

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw_cannot_write(path, "make the folder", error.value());
}

// Of two texts that differ: the first lines that do.
std::string first_difference(const std::string& old, const std::string& given) {
  std::istringstream olds(old), givens(given);
  std::string a, b;
  int64_t line = 0;
  do {
    ++line;
    if (!std::getline(olds, a)) a.clear();
    if (!std::getline(givens, b)) b.clear();
  } while (a == b && (olds || givens));
  const auto trimmed = [](const std::string& text) {
    const size_t first = text.find_first_not_of(' ');
    return first == std::string::npos ? "nothing" : text.substr(first, 80);
  };
  return format("its line {} is {}; given {}", line, trimmed(a), trimmed(b));
}

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

// Held until the file is closed, also by a crash; the text in it names the holder.
int take_lock(const std::string& run) {
  const std::string path = run + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw_cannot_write(path, "open", errno, 1);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (reason != EWOULDBLOCK) {  // not held: a file system without locks
      close(fd);
      throw_cannot_write(path, "flock", reason);
    }
    std::ifstream file(path);
    std::string holder;
    std::getline(file, holder);
    close(fd);
    throw ResourceError(format("{} is in use by {}: wait for it, or choose another --run", run, holder));
  }
  char host[256] = "unknown host";
  gethostname(host, sizeof host - 1);
  const std::string holder = format("process {} on {} since {}\n", getpid(), host, now());
  const auto size = static_cast<ssize_t>(holder.size());
  const char* failed = pwrite(fd, holder.data(), holder.size(), 0) != size ? "write"
                       : ftruncate(fd, size) != 0                          ? "ftruncate"
                                                                           : nullptr;
  if (!failed) return fd;
  const int reason = errno;
  close(fd);
  throw_cannot_write(path, failed, reason, size);
}

}  // namespace

RunFolder::RunFolder(const std::string& path, const std::string& config, bool resume) : path_(path) {
  make_folder(path);
  lock_ = take_lock(path);
  try {
    for (const std::string& folder : {path, file("checkpoints"), file("previews")}) remove_leftovers(folder);
    const std::string known = file("config.json");
    if (fs::exists(known)) {
      if (const std::string old = read_file(known); old != config)
        throw UsageError(format("{} holds a run of another config ({}: {}): choose another --run", path, known,
                                first_difference(old, config)));
      if (!resume)
        throw UsageError(format("{} holds this run already: continue it with --resume, or choose another --run", path));
    }
    make_folder(file("checkpoints"));
    make_folder(file("previews"));
    if (!fs::exists(known)) write_file(known, config);
  } catch (...) {
    close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) close(lock_);
}

std::string RunFolder::file(const std::string& name) const { return path_ + "/" + name; }
std::string RunFolder::checkpoint(int64_t step) const {
  return file(format("checkpoints/step-{:08}.safetensors", step));
}

void RunFolder::append_metrics(const std::string& line) {
  const std::string path = file("metrics.jsonl"), text = line + "\n";
  const auto size = static_cast<ssize_t>(text.size());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) throw_cannot_write(path, "open", errno, size);
  const ssize_t written = write(fd, text.data(), text.size());
  const int reason = written < 0 ? errno : ENOSPC;  // a part of it: the disk is full
  if (close(fd) != 0 && written == size) throw_cannot_write(path, "close", errno, size);
  if (written != size) throw_cannot_write(path, "write", reason, size);
}

void RunFolder::sync_metrics() {
  const std::string path = file("metrics.jsonl");
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return;  // nothing was appended
  if (fd < 0) throw_cannot_write(path, "open", errno);
  const int synced = fsync(fd), reason = errno;
  if (close(fd) != 0 && synced == 0) throw_cannot_write(path, "close", errno);
  if (synced != 0) throw_cannot_write(path, "fsync", reason);
}

void RunFolder::truncate_metrics(int64_t step) {
  const std::string path = file("metrics.jsonl");
  if (!fs::exists(path)) return;
  const std::string all = read_file(path);
  std::string kept;
  for (size_t begin = 0, end; (end = all.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = all.substr(begin, end - begin);
    try {
      if (parse_json(line, path).at("step").integer() <= step) kept += line + "\n";
    } catch (const DataError&) {
      break;  // a power failure: such lines are newer than what was synced
    }
  }
  if (kept != all) write_file(path, kept);
}

std::vector<std::string> list_checkpoints(const std::string& run) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".safetensors")) found.push_back(entry.path().string());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

void prune_checkpoints(const std::string& run, size_t keep) {
  const std::vector<std::string> all = list_checkpoints(run);
  for (size_t i = keep; i < all.size(); ++i) {
    if (unlink(all[i].c_str()) != 0)
      throw ResourceError(format("cannot remove the old checkpoint {}: {}", all[i], std::strerror(errno)));
  }
}

}  // namespace pixelwise
