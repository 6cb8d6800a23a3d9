#include "pixelwise/io/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

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
  if (error) throw ResourceError(format("cannot make the folder {}: {}", path, error.message()));
}

// Held until the file is closed, also by a crash; the text in it names the holder.
int take_lock(const std::string& run) {
  const std::string path = run + "/lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw ResourceError(format("cannot write in {}: {}: choose another --run", run, std::strerror(errno)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    std::ifstream file(path);
    std::string holder;
    std::getline(file, holder);
    close(fd);
    throw ResourceError(format("{} is in use by {}: wait for it, or choose another --run", run, holder));
  }
  char host[256] = "unknown host";
  gethostname(host, sizeof host - 1);
  const std::string holder = format("process {} on {}\n", getpid(), host);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    close(fd);
    throw ResourceError(format("cannot write {}: {}", path, std::strerror(errno)));
  }
  return fd;
}

}  // namespace

RunFolder::RunFolder(const std::string& path, const std::string& config, bool resume) : path_(path) {
  make_folder(path);
  lock_ = take_lock(path);
  try {
    const std::string known = file("config.json");
    if (fs::exists(known)) {
      if (read_file(known) != config)
        throw UsageError(format("{} holds a run of another config (see {}): choose another --run", path, known));
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
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const ssize_t written = fd < 0 ? -1 : write(fd, text.data(), text.size());
  const int reason = errno;
  if (fd >= 0) close(fd);
  if (written != static_cast<ssize_t>(text.size()))
    throw ResourceError(format("cannot write {}: {}", path, written < 0 ? std::strerror(reason) : "the disk is full"));
}

void RunFolder::truncate_metrics(int64_t step) {
  const std::string path = file("metrics.jsonl");
  if (!fs::exists(path)) return;
  const std::string all = read_file(path);
  std::string kept;
  for (size_t begin = 0, end; (end = all.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = all.substr(begin, end - begin);
    if (parse_json(line, path).at("step").integer() <= step) kept += line + "\n";
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
  for (size_t i = keep; i < all.size(); ++i) fs::remove(all[i]);
}

}  // namespace pixelwise
