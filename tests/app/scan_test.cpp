// Bad data in front of segtrain: named before the first step, or left out where that is asked for.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "core/format.hpp"
#include "pixelwise/data/dataset.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/image.hpp"
#include "support/png.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

// Stripes of the classes 0 and 1 under a void line.
Image stripes(int64_t h, int64_t w) {
  Image mask(h, w, 1);
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) *mask.at(y, x) = y == 0 && h > 1 ? 255 : static_cast<uint8_t>((x / 8) % 2);
  }
  return mask;
}

struct Scan : ::testing::Test {
  void SetUp() override {
    std::string list;
    for (int i = 0; i < 20; ++i) {
      write_jpeg(file("p", i), Image(24, 24, 3, 90));
      write_palette_png(file("m", i), stripes(24, 24), voc_palette());
      list += format("p{0}.jpg m{0}.png\n", i);
    }
    write_file(scratch.path("list.txt"), list);
    write_file(scratch.path("c.json"),
               std::string(R"({"model": {"name": "tiny_fcn", "classes": 2, "options": {"width": 0.5}},
      "data": {"format": "list", "root": ".", "train": "list.txt", "val": "list.txt", "class_names": ["ground", "stripe"]},
      "augment": {"crop": [24, 24]}, "train": {"batch_size": 4, "max_steps": 3}})"));
  }
  std::string file(const char* kind, int i) const {
    return scratch.path(format("{}{}.{}", kind, i, kind[0] == 'p' ? "jpg" : "png"));
  }
  // The exit code of segtrain; what it says lies in `said` afterwards.
  int train(const std::string& settings = "") {
    fs::remove_all(scratch.path("r"));
    const std::string line =
        format("cd {0} && XDG_CACHE_HOME={0}/cache {1}/segtrain --config c.json --run r {2} 2>said", scratch.root(),
               PIXELWISE_BIN_DIR, settings);
    const int status = std::system(line.c_str());
    said = read_file(scratch.path("said"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void expect_said(const std::vector<std::string>& parts) const {
    for (const std::string& part : parts)
      EXPECT_NE(said.find(part), std::string::npos) << part << " is not in\n" << said;
  }
  // Refused by default, naming the file and the reason; left out when that is asked for.
  void expect_bad(const std::vector<std::string>& parts) {
    EXPECT_EQ(train(), 3) << said;
    expect_said(parts);
    expect_said({"train: 1 of 20 samples cannot be used", "data.on_bad=skip"});
    EXPECT_FALSE(fs::exists(scratch.path("r"))) << "nothing was begun";
    EXPECT_EQ(train("--set data.on_bad=skip"), 0) << said;
    expect_said(parts);
    expect_said({"left out: train: 1 of 20", "left out: val: 1 of 20", "trained 3 steps"});
  }

  ScratchFolder scratch;
  std::string said;
};

TEST_F(Scan, HealthyDataTrainsWithoutAWarning) {
  ASSERT_EQ(train(), 0) << said;
  EXPECT_EQ(said.find("warning"), std::string::npos) << said;
  EXPECT_EQ(said.find("left out"), std::string::npos) << said;
  expect_said({"20/20", "looking at train"});  // val are the same files
}

TEST_F(Scan, TruncatedJpeg) {
  fs::resize_file(file("p", 7), fs::file_size(file("p", 7)) / 2);
  expect_bad({"p7.jpg"});
}

TEST_F(Scan, TruncatedPng) {
  fs::resize_file(file("m", 7), fs::file_size(file("m", 7)) - 20);
  expect_bad({"m7.png"});
}

TEST_F(Scan, MissingFile) {
  fs::remove(file("m", 7));
  EXPECT_EQ(train(), 3) << said;
  expect_said({"list.txt, line 8", "m7.png, which is not there"});
  EXPECT_EQ(train("--set data.on_bad=skip"), 0) << said;
  expect_said({"left out: train: 1 of 20", "m7.png", "trained 3 steps"});
}

TEST_F(Scan, MaskOfAnotherSize) {
  write_palette_png(file("m", 3), stripes(24, 23), voc_palette());
  expect_bad({"m3.png", "24x23", "24x24", "wanted the same size"});
}

TEST_F(Scan, IdsAboveTheClasses) {
  Image mask = stripes(24, 24);
  *mask.at(5, 9) = 2;
  write_palette_png(file("m", 3), mask, voc_palette());
  expect_bad({"p3.jpg", "m3.png: id 2 at pixel (row 5, column 9); wanted 0 to 1, or 255 for void"});
}

TEST_F(Scan, ColoursWhereIdsAreWanted) {
  write_png(file("m", 3), Image(24, 24, 3, 1));
  expect_bad({"m3.png", "colours"});
}

TEST_F(Scan, SixteenBitMask) {
  write_file(file("m", 3), Png{24, 24, 16, grey, std::vector<std::string>(24, std::string(48, '\0'))}.bytes());
  expect_bad({"m3.png", "16 bits"});
}

TEST_F(Scan, TooManyBadSamplesStopEvenWhenTheyMayBeLeftOut) {
  for (int i = 0; i < 3; ++i) fs::resize_file(file("p", i), 10);
  EXPECT_EQ(train("--set data.on_bad=skip"), 3);
  expect_said({"3 of 20", "data.max_bad (0.05)"});
  EXPECT_EQ(train("--set data.on_bad=skip --set data.max_bad=0.2"), 0) << said;
  expect_said({"left out: train: 3 of 20"});
}

TEST_F(Scan, TinyAndLongPhotosAreNoFault) {
  for (const auto& [i, size] : {std::pair<int, Size>{2, {1, 1}}, {3, {20000, 10}}}) {
    write_jpeg(file("p", i), Image(size.h, size.w, 3, 90));
    write_palette_png(file("m", i), stripes(size.h, size.w), voc_palette());
  }
  EXPECT_EQ(train(), 0) << said;
  expect_said({"trained 3 steps"});
}

TEST_F(Scan, IsKeptUntilAFileChanges) {
  ASSERT_EQ(train(), 0) << said;
  ASSERT_EQ(train(), 0) << said;
  EXPECT_EQ(said.find("looking at"), std::string::npos) << "nothing has changed: " << said;
  write_palette_png(file("m", 3), stripes(24, 23), voc_palette());
  EXPECT_EQ(train(), 3) << "the cache knows size and time of every file";
  for (const auto& entry : fs::directory_iterator(scratch.path("cache/pixelwise")))
    write_file(entry.path().string(), std::string("{"));
  write_palette_png(file("m", 3), stripes(24, 24), voc_palette());
  EXPECT_EQ(train(), 0) << said;
  expect_said({"looking at train"});  // a damaged cache is of no use, and no harm
}

TEST_F(Scan, AFileThatWasGivenItsOldDateIsLookedAtAgain) {
  ASSERT_EQ(train(), 0) << said;
  const auto date = fs::last_write_time(file("m", 3));
  std::string bytes = read_file(file("m", 3));
  bytes[bytes.size() - 20] ^= 1;  // pixels: their checksum is wrong now
  write_file(file("m", 3), bytes);
  fs::last_write_time(file("m", 3), date);
  EXPECT_EQ(train(), 3) << said;
  expect_said({"m3.png"});
}

TEST_F(Scan, ClassesThatNeverOccurAreNamed) {
  ASSERT_EQ(
      train("--set model.classes=4 --set data.class_names=[\\\"ground\\\",\\\"stripe\\\",\\\"dog\\\",\\\"cat\\\"]"), 0)
      << said;
  expect_said({"warning: no training mask shows dog (2), cat (3)", "model.classes"});
}

TEST_F(Scan, AnIgnoreLabelThatNeverOccursIsNamed) {
  for (int i = 0; i < 20; ++i) {
    Image mask = stripes(24, 24);
    for (uint8_t& id : mask.pixels) id = id == 255 ? 0 : id;
    write_palette_png(file("m", i), mask, voc_palette());
  }
  ASSERT_EQ(train(), 0) << said;
  expect_said({"warning: no training mask has a pixel of data.ignore_label (255)", "set data.ignore_label"});
}

TEST_F(Scan, InterpolatedMasksAreNamed) {
  Image mask(24, 24, 1);
  for (int64_t y = 0; y < 24; ++y) {
    for (int64_t x = 0; x < 24; ++x) *mask.at(y, x) = static_cast<uint8_t>(std::abs((x + y) % 8 - 4));
  }
  write_palette_png(file("m", 4), mask, voc_palette());
  const std::string five = R"(--set model.classes=5 --set 'data.class_names=["a","b","c","d","e"]')";
  ASSERT_EQ(train(five), 0) << said;
  expect_said({"warning: 1 of 20 training masks look resized by interpolation", "p4.jpg", "nearest"});
}

TEST_F(Scan, BatchesWithoutLabelsAreCounted) {
  for (int i = 0; i < 20; ++i) {
    Image mask(24, 24, 1, 255);
    if (i == 0) mask = stripes(24, 24);
    write_palette_png(file("m", i), mask, voc_palette());
  }
  ASSERT_EQ(train("--set train.batch_size=1 --set train.max_steps=10"), 0) << said;
  expect_said({"warning: step ", "are void: its loss is zero", " steps had only void pixels"});
}

}  // namespace
}  // namespace pixelwise
