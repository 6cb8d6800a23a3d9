// Crashes and full disks in the middle of a training: whatever call they strike, the run goes on as if nothing had
// been.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/io/run_folder.hpp"
#include "pixelwise/io/safetensors.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

constexpr const char* config = R"({
  "model": { "name": "tiny_fcn", "classes": 7, "options": { "width": 0.25 } },
  "data": { "format": "shapes", "train": "4", "val": "1", "size": [24, 24], "class_names": "shapes" },
  "augment": { "crop": [16, 16] },
  "optimizer": { "name": "adam", "lr": 0.01 },
  "train": { "batch_size": 2, "max_steps": 3, "checkpoint_every_steps": 1 }
})";

#ifdef PIXELWISE_FAULT_SHIM
constexpr const char* shim = PIXELWISE_FAULT_SHIM;
#else
constexpr const char* shim = "";  // sanitizers want to be the first library themselves
#endif

// A training of three steps that is left alone, `whole`, and the same one killed after the checkpoint of step 2,
// `base`, with an older checkpoint besides, so that step 3 also removes one.
class Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!*shim) GTEST_SKIP() << "sanitizers leave no room for the library that injects faults";
    write_file(scratch_.path("config.json"), std::string(config));
    ASSERT_EQ(begin(whole_, "0:0"), 0) << errors();
    const std::vector<std::string> all = calls();
    const std::string saved = format("rename {}/checkpoints/step-00000002.safetensors", whole_);
    const auto synced = std::find(all.begin(), all.end(), saved) - all.begin() + 3;
    ASSERT_EQ(begin(base_, format("kill:{}", synced + 1)), 128 + SIGKILL) << errors();
    fs::copy(base_ + "/checkpoints/step-00000001.safetensors", base_ + "/checkpoints/step-00000000.safetensors");
  }

  // Ends with the exit code, or 128 + the signal.
  int train(const std::string& arguments, const std::string& environment = "") const {
    const std::string line = format("PIXELWISE_THREADS=1 GOMP_SPINCOUNT=1000 {} {}/segtrain {} 2>{}", environment,
                                    PIXELWISE_BIN_DIR, arguments, scratch_.path("stderr"));
    return exit_code_of("exec env " + line);
  }
  static int exit_code_of(const std::string& line) {
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string errors() const { return read_file(scratch_.path("stderr")); }

  int train_with(const std::string& fault, const std::string& run, const std::string& arguments) const {
    fs::remove(log_);
    return train(arguments + " --run " + run,
                 format("LD_PRELOAD={} PIXELWISE_FAULT_FOLDER={} PIXELWISE_FAULT_LOG={} PIXELWISE_FAULT={}", shim, run,
                        log_, fault));
  }
  int begin(const std::string& run, const std::string& fault) const {
    return train_with(fault, run, "--config " + scratch_.path("config.json"));
  }
  // `base` anew, in which the rest of the training meets a fault.
  int resume_with(const std::string& fault) const {
    fs::remove_all(run_);
    fs::copy(base_, run_, fs::copy_options::recursive);
    return train_with(fault, run_, "--resume");
  }
  static std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    const std::string all = read_file(path);
    for (size_t begin = 0, end; (end = all.find('\n', begin)) != std::string::npos; begin = end + 1)
      lines.push_back(all.substr(begin, end - begin));
    return lines;
  }
  std::vector<std::string> calls() const { return lines_of(log_); }
  // metrics.jsonl without times.
  static std::vector<std::string> metrics(const std::string& run) {
    std::vector<std::string> lines = lines_of(run + "/metrics.jsonl");
    for (std::string& line : lines) line = line.substr(0, line.find(",\"ms\""));
    return lines;
  }

  // Whatever has its name in the run folder is whole, and a checkpoint is there.
  void expect_whole(const std::string& when) const {
    std::vector<std::string> files = list_checkpoints(run_);
    ASSERT_GE(files.size(), 3u) << when;
    for (const char* name : {"best.safetensors", "weights.safetensors"}) {
      if (fs::exists(run_ + "/" + name)) files.push_back(run_ + "/" + name);
    }
    for (const std::string& file : files) EXPECT_NO_THROW(SafetensorsFile(file).verify()) << when;
    EXPECT_EQ(read_file(run_ + "/config.json"), read_file(base_ + "/config.json")) << when;
  }
  // The run goes on to the same end as the one that nothing happened to, and nothing is left over.
  void expect_resumes(const std::string& when) const {
    ASSERT_EQ(train("--resume --run " + run_), 0) << when << ": " << errors();
    for (const char* name : {"weights.safetensors", "best.safetensors", "samples.png", "previews/step-3.png",
                             "checkpoints/step-00000003.safetensors"})
      EXPECT_TRUE(read_file(run_ + "/" + name) == read_file(whole_ + "/" + name)) << when << ": " << name;
    EXPECT_EQ(metrics(run_), metrics(whole_)) << when;
    for (const auto& entry : fs::recursive_directory_iterator(run_))
      EXPECT_EQ(entry.path().string().find(".tmp."), std::string::npos) << when << ": " << entry.path();
  }

  int train_within(int kib, int threads, const std::string& arguments) const;
  void kill_at_every(size_t stride);
  void fail_at_every(size_t stride);

  ScratchFolder scratch_;
  std::string whole_ = scratch_.path("whole"), base_ = scratch_.path("base"), run_ = scratch_.path("run"),
              log_ = scratch_.path("calls");
};
using SlowFaults = Faults;

void Faults::kill_at_every(size_t stride) {
  ASSERT_EQ(resume_with("0:0"), 0) << errors();
  const std::vector<std::string> all = calls();
  ASSERT_GT(all.size(), 60u);
  for (size_t n = 1; n <= all.size(); n += stride) {
    const std::string when = format("killed at call {}, {}", n, all[n - 1]);
    ASSERT_EQ(resume_with(format("kill:{}", n)), 128 + SIGKILL) << when;
    ASSERT_EQ(calls().size(), n) << "the calls do not depend on chance";
    expect_whole(when);
    expect_resumes(when);
  }
}

// Calls that may fail without harm: the disk has what was written, and the lock is given back with the process.
bool harmless(const std::string& call) {
  return call.starts_with("close ") && (call.ends_with("/lock") || !fs::path(call).has_extension());
}

void Faults::fail_at_every(size_t stride) {
  ASSERT_EQ(resume_with("0:0"), 0) << errors();
  const std::vector<std::string> all = calls();
  for (size_t n = 1; n <= all.size(); n += stride) {
    for (const int reason : {ENOSPC, EIO}) {
      const std::string& call = all[n - 1];
      const std::string when = format("call {}, {}, fails: {}", n, call, std::strerror(reason));
      const int code = resume_with(format("{}:{}", reason, n));
      ASSERT_EQ(code, harmless(call) ? 0 : 4) << when << ": " << errors();
      expect_whole(when);
      if (code == 0) continue;
      EXPECT_NE(errors().find(run_), std::string::npos) << when << ": " << errors();
      EXPECT_NE(errors().find(std::strerror(reason)), std::string::npos) << when << ": " << errors();
      if (reason == ENOSPC && !call.starts_with("unlink")) {
        EXPECT_NE(errors().find(" free"), std::string::npos) << when << ": " << errors();
      }
      if (n % 5 == 1) expect_resumes(when);
    }
  }
}

TEST_F(Faults, AKillLeavesTheOldOrTheNewFile) { kill_at_every(17); }
TEST_F(Faults, AFailedCallNamesTheFileAndLosesNothing) { fail_at_every(13); }
TEST_F(SlowFaults, AKillAtEveryCallLeavesTheOldOrTheNewFile) { kill_at_every(1); }
TEST_F(SlowFaults, EveryFailedCallNamesTheFileAndLosesNothing) { fail_at_every(1); }

TEST_F(Faults, ADamagedCheckpointIsNamedAndTheOneBeforeIsUsed) {
  fs::copy(base_, run_, fs::copy_options::recursive);
  const std::string newest = list_checkpoints(run_)[0];
  fs::resize_file(newest, fs::file_size(newest) - 1);
  expect_resumes("the newest checkpoint is damaged");
  for (const std::string& part : {"passed over: " + newest, std::string("resuming at step 1 of ")})
    EXPECT_NE(errors().find(part), std::string::npos) << errors();
}

// A disk of `kib` KiB, or nothing where this process must not mount one.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, int64_t kib) : folder_(folder) {
    fs::create_directories(folder);
    mounted_ = mount("tmpfs", folder.c_str(), "tmpfs", 0, format("size={}k", kib).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::string folder_;
  bool mounted_ = false;
};

TEST_F(Faults, ADiskThatFillsUpStopsTheTrainingWithExitCode4) {
  const SmallDisk disk(scratch_.path("disk"), 256);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs root: " << std::strerror(errno);
  run_ = scratch_.path("disk/run");
  const std::string filler = scratch_.path("disk/filler");
  fs::copy(base_, run_, fs::copy_options::recursive);
  const int64_t checkpoint = static_cast<int64_t>(fs::file_size(list_checkpoints(base_)[0]));
  const int64_t room = static_cast<int64_t>(fs::space(run_).available);
  ASSERT_GT(room, checkpoint);
  write_file(filler, std::string(static_cast<size_t>(room - checkpoint / 2), 'x'));
  ASSERT_EQ(train("--resume --run " + run_), 4) << errors();
  const std::string message = errors();
  EXPECT_NE(message.find(run_), std::string::npos) << message;
  for (const char* part : {"No space left on device", " needed, ", " free: free some disk space"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  expect_whole("full disk");
  fs::remove(filler);
  expect_resumes("full disk");
}

TEST_F(Faults, ADiskThatIsReadOnlyIsNamed) {
  const std::string disk_path = scratch_.path("disk");
  const SmallDisk disk(disk_path, 1024);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs root: " << std::strerror(errno);
  const std::string old_run = disk_path + "/old", new_run = disk_path + "/new";
  fs::copy(base_, old_run, fs::copy_options::recursive);
  ASSERT_EQ(mount(nullptr, disk_path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0) << std::strerror(errno);
  for (const std::string& line :
       {"--resume --run " + old_run, "--config " + scratch_.path("config.json") + " --run " + new_run}) {
    EXPECT_EQ(train(line), 4) << line << errors();
    for (const char* part : {"cannot write /", "Read-only file system: choose a folder that can be written"})
      EXPECT_NE(errors().find(part), std::string::npos) << errors();
  }
}

// A new run in so much address space, on crops of 96x96; 127, or 1 from libgomp's set of processors: it is too little
// even to load the program.
int Faults::train_within(int kib, int threads, const std::string& arguments) const {
  fs::remove_all(run_);
  return exit_code_of(
      format("ulimit -v {}; PIXELWISE_THREADS={} GOMP_SPINCOUNT=1000 exec timeout -s KILL 60 {}/segtrain "
             "--config {} --run {} --set data.workers=2 --set augment.crop=[96,96] {} 2>{}",
             kib, threads, PIXELWISE_BIN_DIR, scratch_.path("config.json"), run_, arguments, scratch_.path("stderr")));
}

TEST_F(Faults, AnImpossiblePlanIsRefusedWithWhatFits) {
  const std::string large = "--set train.max_steps=1 --set train.batch_size=256 ";
  for (const auto& [kib, threads] : {std::pair{150000, 1}, {250000, 3}}) {
    ASSERT_EQ(train_within(kib, threads, large), 4) << errors();
    const std::string refusal = errors();
    EXPECT_FALSE(fs::exists(run_)) << "nothing was begun";
    const auto after = [&](const std::string& words) {
      const size_t at = refusal.find(words);
      return at == std::string::npos ? "" : refusal.substr(at + words.size());
    };
    int64_t needed = 0, batch = 0, h = 0, w = 0;
    ASSERT_EQ(std::sscanf(after("the training needs ").c_str(), "%ld.", &needed), 1) << refusal;
    EXPECT_GT(needed, kib / 1024) << refusal;
    ASSERT_EQ(std::sscanf(after("What fits: train.batch_size=").c_str(), "%ld", &batch), 1) << refusal;
    ASSERT_EQ(std::sscanf(after("augment.crop=").c_str(), "[%ld,%ld]", &h, &w), 2) << refusal;
    EXPECT_EQ(train_within(kib, threads, large + format("--set train.batch_size={}", batch)), 0) << refusal << errors();
    EXPECT_EQ(train_within(kib, threads, large + format("--set augment.crop=[{},{}]", h, w)), 0) << refusal << errors();
  }
}

// Address space for little more than the program (for less, the system kills it) up to more than enough: it trains, or
// says what is missing.
TEST_F(SlowFaults, TooLittleMemoryIsAnErrorWhereverItStrikes) {
  const int program = static_cast<int>(fs::file_size(fs::path(PIXELWISE_BIN_DIR) / "segtrain") / 1024);
  bool refused = false, trained = false;
  for (const int threads : {1, 3}) {
    for (int kib = program + 500; kib < 80000; kib += 700) {
      const int code = train_within(kib, threads, "");
      if (code == 127 || (code == 1 && errors() == "\nlibgomp: Out of memory allocating 8 bytes\n")) continue;
      EXPECT_TRUE(code == 0 || code == 4) << kib << " KiB, " << threads << " threads: " << code << ": " << errors();
      (code == 0 ? trained : refused) = true;
      if (code == 4) {
        EXPECT_NE(errors().find("error: "), std::string::npos) << errors();
      }
    }
  }
  EXPECT_TRUE(refused && trained);
}

}  // namespace
}  // namespace pixelwise
