#include "pixelwise/io/files.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "pixelwise/core/error.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

int64_t files_in(const std::string& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

// Files may not grow beyond `bytes`: like a full disk, a write then fails in its middle.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int) = SIG_DFL;
};

TEST(Files, WhatIsWrittenIsRead) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.txt"), text("one\0two\n", 8);
  write_file(path, text);
  EXPECT_EQ(read_file(path), text);
  write_file(path, "");
  EXPECT_EQ(read_file(path), "");
  EXPECT_EQ(files_in(scratch.root()), 1);
}

TEST(Files, AFailureLeavesTheOldFileAndNothingElse) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.txt");
  write_file(path, "old");
  const auto fail = [](const Sink& sink) {
    sink(std::as_bytes(std::span("new", 3)));
    throw DataError("stopped");
  };
  EXPECT_THROW(write_file(path, fail), DataError);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(files_in(scratch.root()), 1);
}

TEST(Files, AFullDiskIsAResourceErrorWhereverItStrikes) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.txt"), text(10000, 'x');
  write_file(path, "old");
  for (const rlim_t room : {0, 1, 4096, 9999}) {
    const FileSizeLimit limit(room);
    try {
      write_file(path, text);
      ADD_FAILURE() << "written with room for " << room;
    } catch (const ResourceError& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
    EXPECT_EQ(read_file(path), "old");
    EXPECT_EQ(files_in(scratch.root()), 1);
  }
  const FileSizeLimit limit(10000);
  write_file(path, text);
  EXPECT_EQ(read_file(path), text);
}

TEST(Files, PlacesThatCannotBeWrittenAreNamed) {
  const ScratchFolder scratch;
  std::filesystem::create_directory(scratch.path("folder"));
  for (const std::string& path : {scratch.path("no/such/folder/a.txt"), scratch.path("folder")}) {
    try {
      write_file(path, "x");
      ADD_FAILURE() << path;
    } catch (const ResourceError& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
    }
  }
  EXPECT_EQ(files_in(scratch.root()), 1);
}

TEST(Files, UnreadableAndTooLargeFilesAreDataErrors) {
  const ScratchFolder scratch;
  EXPECT_THROW(read_file(scratch.path("missing")), DataError);
  EXPECT_THROW(read_file(scratch.root()), DataError);
  write_file(scratch.path("a"), "12345");
  EXPECT_EQ(read_file(scratch.path("a"), 5), "12345");
  EXPECT_THROW(read_file(scratch.path("a"), 4), DataError);
  EXPECT_THROW(read_file("/dev/zero", 1000), DataError);  // no size, and it never ends
}

}  // namespace
}  // namespace pixelwise
