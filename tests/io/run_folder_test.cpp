#include "pixelwise/io/run_folder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

template <class E, class F>
std::string complaint(const F& open) {
  try {
    open();
  } catch (const E& error) {
    return error.what();
  }
  return "accepted";
}

TEST(RunFolder, MakesAFolderWithItsConfig) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("runs/a");
  const RunFolder run(path, "{\"seed\": 1}\n", false);
  EXPECT_EQ(run.path(), path);
  EXPECT_EQ(read_file(path + "/config.json"), "{\"seed\": 1}\n");
  EXPECT_TRUE(fs::is_directory(path + "/checkpoints"));
  EXPECT_TRUE(fs::is_directory(path + "/previews"));
  EXPECT_EQ(run.file("samples.png"), path + "/samples.png");
  EXPECT_EQ(run.checkpoint(120), path + "/checkpoints/step-00000120.safetensors");
}

TEST(RunFolder, RefusesAnotherRunAndContinuesOnlyWhenAsked) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("run");
  { const RunFolder run(path, "A", false); }
  EXPECT_NE(complaint<UsageError>([&] { RunFolder(path, "B", false); }).find(path), std::string::npos);
  EXPECT_NE(complaint<UsageError>([&] { RunFolder(path, "B", true); }).find(path), std::string::npos);
  EXPECT_NE(complaint<UsageError>([&] { RunFolder(path, "A", false); }).find("--resume"), std::string::npos);
  EXPECT_EQ(complaint<UsageError>([&] { RunFolder(path, "A", true); }), "accepted");
  EXPECT_EQ(read_file(path + "/config.json"), "A");
}

TEST(RunFolder, SaysWhereTheConfigDiffers) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("run");
  { const RunFolder run(path, "{\n  \"seed\": 1,\n  \"lr\": 0.1\n}\n", false); }
  const std::string given = "{\n  \"seed\": 1,\n  \"lr\": 0.2\n}\n";
  EXPECT_NE(
      complaint<UsageError>([&] { RunFolder(path, given, true); }).find(R"(line 3 is "lr": 0.1; given "lr": 0.2)"),
      std::string::npos);
  EXPECT_NE(complaint<UsageError>([&] {
              RunFolder(path, read_file(path + "/config.json") + "more\n", true);
            }).find("line 5 is nothing; given more"),
            std::string::npos);
}

TEST(RunFolder, WhatKilledSavesLeftIsRemoved) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("run");
  { const RunFolder run(path, "A", false); }
  for (const char* name :
       {"weights.safetensors.tmp.17", "checkpoints/step-00000300.safetensors.tmp.4711", "previews/step-3.png.tmp.1"})
    write_file(path + "/" + name, "half");
  write_file(path + "/notes.tmp.txt", "mine");
  const RunFolder run(path, "A", true);
  int64_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) files += entry.is_regular_file();
  EXPECT_EQ(files, 3) << "config.json, lock, notes.tmp.txt";
}

TEST(RunFolder, HasOneTrainerAtATime) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("run");
  {
    const RunFolder run(path, "A", false);
    const std::string message = complaint<ResourceError>([&] { RunFolder(path, "A", true); });
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const std::string holder = "in use by process " + std::to_string(getpid()) + " on " + host + " since 2";
    EXPECT_NE(message.find(holder), std::string::npos) << message;
  }
  EXPECT_EQ(complaint<ResourceError>([&] { RunFolder(path, "A", true); }), "accepted");
}

TEST(RunFolder, PlacesThatAreNoFoldersAreNamed) {
  const ScratchFolder scratch;
  write_file(scratch.path("file"), "x");
  EXPECT_NE(complaint<ResourceError>([&] { RunFolder(scratch.path("file/run"), "A", false); }).find("file/run"),
            std::string::npos);
}

TEST(RunFolder, MetricsAreTruncatedToAStepAndToWholeLines) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path("run"), "A", false);
  run.truncate_metrics(5);  // nothing there yet
  for (int step = 1; step <= 4; ++step) run.append_metrics("{\"step\":" + std::to_string(step) + "}");
  const std::string path = run.file("metrics.jsonl");
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4}\n");
  std::ofstream(path, std::ios::app) << "{\"step\":5,\"lo";  // cut off by a kill
  run.truncate_metrics(100);
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4}\n");
  run.truncate_metrics(2);
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n");
  run.append_metrics("{\"step\":3}");
  std::ofstream(path, std::ios::app) << std::string(9, '\0') << "\n{\"step\":4}\n";  // after a power failure
  run.truncate_metrics(100);
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  run.truncate_metrics(0);
  EXPECT_EQ(read_file(path), "");
}

TEST(RunFolder, CheckpointsAreListedNewestFirstAndPruned) {
  const ScratchFolder scratch;
  const RunFolder run(scratch.path("run"), "A", false);
  EXPECT_TRUE(list_checkpoints(run.path()).empty());
  EXPECT_TRUE(list_checkpoints(scratch.path("missing")).empty());
  for (const int64_t step : {200, 1000, 50}) write_file(run.checkpoint(step), "x");
  write_file(run.file("checkpoints/step-00000300.safetensors.tmp.17"), "a save that was killed");
  write_file(run.file("checkpoints/notes.txt"), "mine");
  EXPECT_EQ(list_checkpoints(run.path()),
            (std::vector<std::string>{run.checkpoint(1000), run.checkpoint(200), run.checkpoint(50)}));
  prune_checkpoints(run.path(), 2);
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::string>{run.checkpoint(1000), run.checkpoint(200)}));
  EXPECT_TRUE(fs::exists(run.file("checkpoints/notes.txt")));
}

}  // namespace
}  // namespace pixelwise
