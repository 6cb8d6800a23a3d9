// segdoctor on healthy and on bad data.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "pixelwise/data/dataset.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/image.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

struct Doctor : ::testing::Test {
  // A list of three photos; the mask of the last one as given.
  void write_data(const Image& last) {
    Image mask(16, 16, 1);
    for (int64_t x = 0; x < 8; ++x) *mask.at(3, x) = 1;
    for (const std::string i : {"0", "1", "2"}) {
      write_png(scratch.path("p" + i + ".png"), Image(16, 16, 3, 90));
      write_palette_png(scratch.path("m" + i + ".png"), i == "2" ? last : mask, voc_palette());
    }
    write_file(scratch.path("list.txt"), "p0.png m0.png\np1.png m1.png\np2.png m2.png\n");
    write_file(scratch.path("c.json"), R"({"model": {"name": "tiny_fcn", "classes": 2},
      "data": {"format": "list", "root": ".", "train": "list.txt", "val": "list.txt", "class_names": ["ground", "stripe"]},
      "augment": {"crop": [16, 16]}, "train": {"batch_size": 3, "epochs": 2}})");
  }
  int run(const std::string& settings = "") const {
    const std::string line = "cd " + scratch.root() + " && " + PIXELWISE_BIN_DIR +
                             "/segdoctor --config c.json --out out " + settings + " >stdout 2>stderr";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string text(const std::string& name) const { return read_file(scratch.path(name)); }
  void expect_said(const std::string& words) const {
    EXPECT_NE(text("stdout").find(words), std::string::npos) << words << "\nis not in\n" << text("stdout");
  }
  ScratchFolder scratch;
};

TEST_F(Doctor, ReportsClassesWeightsMemoryAndTime) {
  Image mask(16, 16, 1);
  *mask.at(0, 0) = 1;
  *mask.at(0, 1) = 255;
  write_data(mask);
  ASSERT_EQ(run(), 0) << text("stderr");
  expect_said("train: 3 samples, 3 readable, 16x16 (height x width), 0.1% void");
  expect_said("stripe             1    2.22%        3    2.22%        3");
  expect_said("\"class_weights\": [0.511, 22.559]");  // f = 750 / 767, 17 / 767; their median 1 / 2
  expect_said("findings:\n  none\n");
  expect_said("MiB are planned");
  expect_said("a step of 3 photos, 2 steps");
  EXPECT_NE(text("out/report.html").find("samples.png"), std::string::npos);
  EXPECT_GT(read_photo(scratch.path("out/samples.png")).height, 3 * 16);
}

TEST_F(Doctor, SaysWhatTheModelWarnsOf) {
  write_data(Image(16, 16, 1, 1));
  ASSERT_EQ(run("--set model.name=deeplabv3plus_mobilenet_v2 --set model.options.width=0.1 "
                "--set model.options.head_channels=8 --set model.options.rates=[1,2,18]"),
            0)
      << text("stderr");
  expect_said("warning: node 'classifier.aspp.convs.3.0': its rate 18");
}

TEST_F(Doctor, BadSamplesAreNamedAndExitWithThree) {
  write_data(Image(16, 16, 1, 9));
  EXPECT_EQ(run(), 3) << text("stderr");
  expect_said("train: 1 of 3 samples hold ids out of range");
  expect_said("m2.png: id 9 at pixel (row 0, column 0)");
  std::filesystem::resize_file(scratch.path("p1.png"), 20);
  EXPECT_EQ(run(), 3) << text("stderr");
  expect_said("train: 1 of 3 samples cannot be read");
  expect_said("p1.png");
  std::filesystem::remove(scratch.path("m0.png"));
  EXPECT_EQ(run(), 3) << text("stderr");
  expect_said("train: 2 of 3 samples cannot be read");
  expect_said("m0.png");
}

}  // namespace
}  // namespace pixelwise
