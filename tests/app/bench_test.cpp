// What segbench gives to a program that compares itself with it.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/io/safetensors.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

struct Bench : ::testing::Test {
  int run(const std::string& before, const std::string& options) const {
    const std::string line = "cd " + scratch.root() + " && " + before + PIXELWISE_BIN_DIR +
                             "/segbench --model tiny_fcn --size 16x24 --batch 2 " + options + " >stdout 2>stderr";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string text(const std::string& name) const { return read_file(scratch.path(name)); }
  ScratchFolder scratch;
};

TEST_F(Bench, PacedRunsOnceForEveryLine) {
  ASSERT_EQ(run("printf '\\n\\n\\n' | ", "--paced --json"), 0) << text("stderr");
  const std::string out = text("stdout");
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1 + 3 + 1) << out;  // warm-up, three runs, the report
  EXPECT_EQ(run("printf '' | ", "--paced"), 2);
  EXPECT_NE(text("stderr").find("no line"), std::string::npos);
}

TEST_F(Bench, SpeaksJsonAndCsvToo) {
  ASSERT_EQ(run("", "--csv --runs 1"), 0) << text("stderr");
  EXPECT_TRUE(text("stdout").starts_with("model,ms,min_ms,max_ms,gflop,")) << text("stdout");
  EXPECT_NE(text("stdout").find("\ntiny_fcn,"), std::string::npos);
  EXPECT_EQ(run("", "--csv --json"), 2);

  const std::string op = "--operator crop --runs 1 ";
  ASSERT_EQ(run("", op + "--json"), 0) << text("stderr");
  const std::string lines = text("stdout");
  const JsonValue first = parse_json(lines.substr(0, lines.find('\n')), "segbench");
  EXPECT_EQ(first.at("operator").text(), "crop");
  EXPECT_EQ(first.at("pass").text(), "forward");
  EXPECT_GT(first.at("peak_gflops").number(), 0);
  ASSERT_EQ(run("", op + "--csv"), 0) << text("stderr");
  const std::string csv = text("stdout");
  EXPECT_TRUE(csv.starts_with("operator,case,pass,kernel,ms,gflop,gflops,peak_gflops\ncrop,")) << csv;
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + std::count(lines.begin(), lines.end(), '\n'));
}

// OpenMP binds the thread of a program that starts itself again; what is bound once must not stay the only processor.
TEST_F(Bench, UsesAllProcessorsWhereOpenMPBindsThreads) {
  const std::string fresh = "unset GOMP_SPINCOUNT OMP_NUM_THREADS PIXELWISE_THREADS; ", op = "--operator crop --runs 1";
  const auto threads = [&] {
    const std::string out = text("stdout");
    const size_t with = out.find(" with ");
    return out.substr(with, out.find('\n', with) - with);
  };
  ASSERT_EQ(run(fresh, op), 0) << text("stderr");
  const std::string wanted = threads();
  ASSERT_EQ(run(fresh + "OMP_PROC_BIND=true ", op), 0) << text("stderr");
  EXPECT_EQ(threads(), wanted);
}

TEST_F(Bench, WriteStepHoldsWeightsInputsLossAndGradients) {
  ASSERT_EQ(run("", "--write-step step.safetensors"), 0) << text("stderr");
  const SafetensorsFile file(scratch.path("step.safetensors"));
  ASSERT_TRUE(file.find("image") && file.find("labels") && file.find("loss"));
  EXPECT_EQ(file.find("image")->shape, (std::vector<int64_t>{2, 16, 24, 3}));
  EXPECT_EQ(file.find("labels")->shape, (std::vector<int64_t>{2, 16, 24, 1}));
  EXPECT_GT(file.read_f32(*file.find("loss"))[0], 0);
  int gradients = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    if (!tensor.name.starts_with("gradient.")) continue;
    ++gradients;
    const TensorInfo* parameter = file.find(tensor.name.substr(9));
    ASSERT_TRUE(parameter) << tensor.name;
    EXPECT_EQ(parameter->shape, tensor.shape) << tensor.name;
    double square = 0;
    for (const double value : file.read_f64(tensor)) square += value * value;
    EXPECT_GT(square, 0) << tensor.name;
  }
  EXPECT_GT(gradients, 4);
  ASSERT_EQ(run("", "--mode infer --write-step step.safetensors"), 0) << text("stderr");
  EXPECT_TRUE(SafetensorsFile(scratch.path("step.safetensors")).find("prediction"));
}

}  // namespace
}  // namespace pixelwise
