// A library for LD_PRELOAD that stands between a program and the calls by which it writes files. It counts those on
// paths in one folder, and at a chosen one kills the program or lets the call fail, as a crash or a full disk would.
//
//   PIXELWISE_FAULT_FOLDER=DIR   the calls that count: on files in DIR, opened for writing, and on its folders
//   PIXELWISE_FAULT=kill:N       SIGKILL before the N-th call; a write has written half of its bytes then
//   PIXELWISE_FAULT=ERRNO:N      the N-th call fails with this errno (a number); a write has written half
//   PIXELWISE_FAULT_LOG=FILE     a line for each call: its name and path
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int most_files = 1024;
char paths[most_files][512];  // of the open files that count; empty: another file
std::atomic<int> calls{0};

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool counts(const char* path) {
  const char* folder = std::getenv("PIXELWISE_FAULT_FOLDER");
  return folder && path && std::strncmp(path, folder, std::strlen(folder)) == 0;
}

const char* path_of(int fd) { return fd >= 0 && fd < most_files && paths[fd][0] ? paths[fd] : nullptr; }

void log_call(const char* call, const char* path) {
  const char* log = std::getenv("PIXELWISE_FAULT_LOG");
  if (!log) return;
  char line[600];
  const int length = std::snprintf(line, sizeof line, "%s %s\n", call, path);
  const long fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (syscall(SYS_write, fd, line, length) != length) _exit(99);
  syscall(SYS_close, fd);
}

// True where this call, on a path that counts, is to fail; errno is set then. `before` is done first.
template <class Before>
bool fault(const char* call, const char* path, const Before& before) {
  log_call(call, path);
  const int number = ++calls;
  const char* plan = std::getenv("PIXELWISE_FAULT");
  const char* colon = plan ? std::strchr(plan, ':') : nullptr;
  if (!colon || std::atoi(colon + 1) != number) return false;
  before();
  if (std::strncmp(plan, "kill", 4) == 0) kill(getpid(), SIGKILL);
  errno = std::atoi(plan);
  return true;
}
bool fault(const char* call, const char* path) {
  return fault(call, path, [] {});
}

int open_and_remember(const char* name, const char* path, int flags, mode_t mode) {
  const bool counted = counts(path) && (flags & (O_WRONLY | O_RDWR | O_DIRECTORY));
  if (counted && fault("open", path)) return -1;
  const int fd = next<int (*)(const char*, int, mode_t)>(name)(path, flags, mode);
  if (counted && fd >= 0 && fd < most_files) std::snprintf(paths[fd], sizeof paths[fd], "%s", path);
  return fd;
}

mode_t mode_argument(int flags, va_list arguments) { return flags & O_CREAT ? va_arg(arguments, mode_t) : 0; }

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return open_and_remember("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return open_and_remember("open64", path, flags, mode);
}

ssize_t write(int fd, const void* bytes, size_t count) {
  const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  const auto half = [&] { [[maybe_unused]] const ssize_t written = real(fd, bytes, count / 2); };
  if (path_of(fd) && fault("write", path_of(fd), half)) return -1;
  return real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  const auto half = [&] { [[maybe_unused]] const ssize_t written = real(fd, bytes, count / 2, offset); };
  if (path_of(fd) && fault("pwrite", path_of(fd), half)) return -1;
  return real(fd, bytes, count, offset);
}

int fsync(int fd) {
  if (path_of(fd) && fault("fsync", path_of(fd))) return -1;
  return next<int (*)(int)>("fsync")(fd);
}

int flock(int fd, int operation) noexcept {
  if (path_of(fd) && fault("flock", path_of(fd))) return -1;
  return next<int (*)(int, int)>("flock")(fd, operation);
}

int ftruncate(int fd, off_t length) {
  if (path_of(fd) && fault("ftruncate", path_of(fd))) return -1;
  return next<int (*)(int, off_t)>("ftruncate")(fd, length);
}

int close(int fd) {
  const bool failed = path_of(fd) && fault("close", path_of(fd));
  const int reason = errno;
  if (path_of(fd)) paths[fd][0] = '\0';
  const int result = next<int (*)(int)>("close")(fd);  // a close that fails closes
  if (!failed) return result;
  errno = reason;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  if (counts(to) && fault("rename", to)) return -1;
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}

int unlink(const char* path) noexcept {
  if (counts(path) && fault("unlink", path)) return -1;
  return next<int (*)(const char*)>("unlink")(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (counts(path) && fault("mkdir", path)) return -1;
  return next<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}

}  // extern "C"
