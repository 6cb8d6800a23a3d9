#include "pixelwise/data/dataset.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <functional>
#include <map>

#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing thrown";
}

Image ids(int64_t h, int64_t w, std::vector<uint8_t> pixels) {
  Image image(h, w, 1);
  image.pixels = std::move(pixels);
  return image;
}

// A devkit of three samples; the second mask has id 21, the third is transposed.
struct Devkit {
  ScratchFolder scratch;
  DataOptions options;

  Devkit() {
    const fs::path root = fs::path(scratch.root()) / "VOC2012";
    for (const char* folder : {"JPEGImages", "SegmentationClass", "ImageSets/Segmentation"})
      fs::create_directories(root / folder);
    const auto add = [&](const std::string& name, const Image& mask) {
      write_jpeg((root / "JPEGImages" / (name + ".jpg")).string(), Image(2, 3, 3, 90));
      write_palette_png((root / "SegmentationClass" / (name + ".png")).string(), mask, voc_palette());
    };
    add("2007_000001", ids(2, 3, {0, 1, 20, 255, 15, 15}));
    add("2007_000002", ids(2, 3, {0, 0, 0, 0, 21, 0}));
    add("2007_000003", ids(3, 2, {0, 0, 0, 0, 0, 0}));
    write_file((root / "ImageSets/Segmentation/train.txt").string(), "2007_000001\r\n\n2007_000002\n2007_000003");
    write_file((root / "ImageSets/Segmentation/val.txt").string(), "\n");
    options.root = scratch.root();
  }
};

TEST(Voc, ReadsIndicesOfTheDevkit) {
  const Devkit devkit;
  const auto dataset = open_dataset(devkit.options, "train", 21, 3, 1);
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->id(0), "2007_000001");
  for (const std::string& file : dataset->files(0)) EXPECT_TRUE(fs::exists(file)) << file;
  const Sample sample = dataset->read(0);
  EXPECT_EQ(sample.mask.pixels, (std::vector<uint8_t>{0, 1, 20, 255, 15, 15}));
  EXPECT_EQ(sample.photo.size(), (Size{2, 3}));
  EXPECT_EQ(sample.photo.channels, 3);
  EXPECT_EQ(open_dataset(devkit.options, "train", 21, 1, 1)->read(0).photo.channels, 1);
}

TEST(Voc, ErrorsNameFilePixelAndValue) {
  const Devkit devkit;
  const auto dataset = open_dataset(devkit.options, "train", 21, 3, 1);
  const std::string id = message_of([&] { dataset->read(1); });
  for (const char* part : {"2007_000002.png", "id 21", "(row 1, column 1)", "0 to 20"})
    EXPECT_NE(id.find(part), std::string::npos) << id;
  const std::string size = message_of([&] { dataset->read(2); });
  for (const char* part : {"2007_000003.png", "3x2", "2x3"}) EXPECT_NE(size.find(part), std::string::npos) << size;
  EXPECT_NE(message_of([&] { open_dataset(devkit.options, "val", 21, 3, 1); }).find("val.txt: the list is empty"),
            std::string::npos);
  DataOptions elsewhere = devkit.options;
  elsewhere.root = devkit.scratch.path("nowhere");
  EXPECT_NE(message_of([&] { open_dataset(elsewhere, "train", 21, 3, 1); }).find("--data-root"), std::string::npos);
}

TEST(Voc, TheListIsCheckedBeforeAnySampleIsRead) {
  const Devkit devkit;
  const std::string list = devkit.scratch.root() + "/VOC2012/ImageSets/Segmentation/train.txt";
  const auto refused = [&](const std::string& lines, const std::vector<std::string>& parts) {
    write_file(list, lines);
    const std::string message = message_of([&] { open_dataset(devkit.options, "train", 21, 3, 1); });
    for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  refused("2007_000001\r\n\r\n2007_000003\r\n2007_000001\r\n", {list + ", line 4", "'2007_000001'", "line 1 already"});
  refused("\n2007_000009\n", {list + ", line 2", "JPEGImages/2007_000009.jpg"});
  fs::remove(devkit.scratch.path("VOC2012/SegmentationClass/2007_000003.png"));
  refused("2007_000003", {list + ", line 1", "SegmentationClass/2007_000003.png"});
  refused("\r\n", {list, "empty"});
  refused(std::string(5000, 'x'), {list + ", line 1", "not there"});  // the system has no names so long
  fs::remove(list);
  EXPECT_NE(message_of([&] { open_dataset(devkit.options, "train", 21, 3, 1); }).find(list), std::string::npos);
}

TEST(List, ReadsPairsRelativeToTheRoot) {
  const ScratchFolder scratch;
  fs::create_directories(scratch.path("a"));
  write_png(scratch.path("a/photo.png"), Image(2, 2, 3, 7));
  write_png(scratch.path("a/mask.png"), ids(2, 2, {0, 11, 3, 10}));
  write_file(scratch.path("train.txt"), "a/photo.png a/mask.png\n");
  write_file(scratch.path("bad.txt"), "a/photo.png\n");
  DataOptions options;
  options.format = "list", options.root = scratch.root(), options.ignore_label = 11;
  options.val = "bad.txt";
  const auto dataset = open_dataset(options, "train", 11, 3, 1);  // train: finds train.txt
  EXPECT_EQ(dataset->read(0).mask.pixels, (std::vector<uint8_t>{0, 11, 3, 10}));
  EXPECT_EQ(dataset->id(0), "a/photo.png");
  EXPECT_NE(message_of([&] { open_dataset(options, "val", 11, 3, 1); }).find("bad.txt, line 1"), std::string::npos);
}

TEST(Datasets, RealFilesRead) {
  if (test_data().empty()) GTEST_SKIP() << "PIXELWISE_TEST_DATA is not set";
  DataOptions voc;
  voc.root = test_data() + "/VOCdevkit";
  const auto photos = open_dataset(voc, "val", 21, 3, 1);
  EXPECT_EQ(photos->size(), 223);
  for (const int64_t i : {0, 100, 222}) EXPECT_GT(photos->read(i).photo.height, 100);
  DataOptions camvid;
  camvid.format = "list", camvid.root = test_data() + "/CamVid", camvid.train = "train.txt", camvid.ignore_label = 11;
  const auto frames = open_dataset(camvid, "train", 11, 3, 1);
  EXPECT_EQ(frames->size(), 367);
  EXPECT_EQ(frames->read(5).photo.size(), (Size{360, 480}));
}

DataOptions shapes_options() {
  DataOptions options;
  options.format = "shapes", options.train = "60", options.val = "20";
  return options;
}

TEST(Shapes, AreAFunctionOfSeedSplitAndIndex) {
  const DataOptions options = shapes_options();
  const auto a = open_dataset(options, "train", 7, 3, 1), b = open_dataset(options, "train", 7, 3, 1);
  EXPECT_EQ(a->size(), 60);
  b->read(3);
  EXPECT_EQ(a->read(5).photo.pixels, b->read(5).photo.pixels);
  EXPECT_EQ(a->read(5).mask.pixels, b->read(5).mask.pixels);
  EXPECT_NE(a->read(5).photo.pixels, a->read(6).photo.pixels);
  EXPECT_NE(a->read(5).photo.pixels, open_dataset(options, "val", 7, 3, 1)->read(5).photo.pixels);
  EXPECT_NE(a->read(5).photo.pixels, open_dataset(options, "train", 7, 3, 2)->read(5).photo.pixels);
  EXPECT_EQ(open_dataset(options, "train", 7, 1, 1)->read(0).photo.channels, 1);
}

TEST(Shapes, EveryClassOccursAndColourTellsNothing) {
  const auto dataset = open_dataset(shapes_options(), "train", 7, 3, 1);
  std::map<int, double> pixels;
  std::map<int, std::array<double, 3>> sums;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const Sample sample = dataset->read(i);
    for (size_t p = 0; p < sample.mask.pixels.size(); ++p) {
      const int id = sample.mask.pixels[p];
      ++pixels[id];
      for (size_t c = 0; c < 3; ++c) sums[id][c] += sample.photo.pixels[3 * p + c];
    }
  }
  const double all = static_cast<double>(dataset->size()) * 128 * 128;
  for (int id = 0; id < 7; ++id) {
    EXPECT_GT(pixels[id] / all, 0.01) << "class " << id;
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(sums[id][c] / pixels[id], 128, 30) << "class " << id << " channel " << c;
  }
  EXPECT_GT(pixels[255] / all, 0.01) << "void outlines";
  EXPECT_LT(pixels[255] / all, 0.15);
  EXPECT_EQ(pixels.size(), 8u) << "and no other id";
}

TEST(Shapes, RefusesWhatIsNotANumberOfScenes) {
  DataOptions options = shapes_options();
  for (const char* scenes : {"train", "0", "-3", "10x", ""}) {
    options.train = scenes;
    EXPECT_THROW(open_dataset(options, "train", 7, 3, 1), UsageError) << scenes;
  }
  EXPECT_THROW(open_dataset(shapes_options(), "train", 6, 3, 1), UsageError);
  EXPECT_THROW(open_dataset(shapes_options(), "test", 7, 3, 1), UsageError);
}

TEST(Palette, IsTheDevkits) {
  const std::vector<Colour> palette = voc_palette();
  ASSERT_EQ(palette.size(), 256u);
  EXPECT_EQ(palette[0], (Colour{0, 0, 0}));
  EXPECT_EQ(palette[1], (Colour{128, 0, 0}));
  EXPECT_EQ(palette[15], (Colour{192, 128, 128}));
  EXPECT_EQ(palette[20], (Colour{0, 64, 128}));
  EXPECT_EQ(palette[255], (Colour{224, 224, 192}));
}

TEST(ClassNames, OfThePresets) {
  EXPECT_EQ(preset_class_names("voc").size(), 21u);
  EXPECT_EQ(preset_class_names("voc")[15], "person");
  EXPECT_EQ(preset_class_names("camvid").size(), 11u);
  EXPECT_EQ(preset_class_names("shapes").size(), 7u);
  EXPECT_THROW(preset_class_names("coco"), UsageError);
}

// Rows and columns of photo and mask tell where a window was cut.
class Numbered : public Dataset {
 public:
  int64_t size() const override { return 3; }
  std::string id(int64_t index) const override { return std::to_string(index); }
  Sample read(int64_t index) const override {
    Sample sample{id(index), Image(7, 4 + index, 3), Image(7, 4 + index, 1)};
    for (int64_t y = 0; y < 7; ++y) {
      for (int64_t x = 0; x < sample.photo.width; ++x)
        *sample.mask.at(y, x) = *sample.photo.at(y, x) = static_cast<uint8_t>(10 * y + x);
    }
    return sample;
  }
};

TEST(Selection, TakesTheFirstSamples) {
  EXPECT_EQ(first_samples(std::make_unique<Numbered>(), 2)->size(), 2);
  EXPECT_EQ(first_samples(std::make_unique<Numbered>(), 9)->size(), 3);
  EXPECT_EQ(first_samples(std::make_unique<Numbered>(), 2)->read(1).id, "1");
}

TEST(Selection, ResizesPhotoAndMask) {
  const auto small = resized(std::make_unique<Numbered>(), {7, 2});
  EXPECT_EQ(small->size(), 3);
  const Sample sample = small->read(0);  // 7x4: halved in width
  ASSERT_EQ(sample.photo.size(), (Size{7, 2}));
  ASSERT_EQ(sample.mask.size(), (Size{7, 2}));
  EXPECT_EQ(sample.photo.channels, 3);
  for (int64_t y = 0; y < 7; ++y) {  // photo: (3, 3, 1) / 7 of 0, 1, 2 above 10 y; mask: pixels 1 and 3
    EXPECT_EQ(*sample.photo.at(y, 0), 10 * y + 1);
    EXPECT_EQ(*sample.photo.at(y, 1), 10 * y + 2);
    EXPECT_EQ(*sample.mask.at(y, 0), 10 * y + 1);
    EXPECT_EQ(*sample.mask.at(y, 1), 10 * y + 3);
  }
}

TEST(Selection, CutsTheMiddleOfPhotoAndMask) {
  const auto crops = centre_crops(std::make_unique<Numbered>(), {3, 5});
  const Sample narrow = crops->read(0), wide = crops->read(2);  // 7x4 and 7x6
  EXPECT_EQ(narrow.photo.size(), (Size{3, 4}));
  EXPECT_EQ(wide.photo.size(), (Size{3, 5}));
  EXPECT_EQ(wide.mask.size(), (Size{3, 5}));
  EXPECT_EQ(*narrow.photo.at(0, 0), 20);
  EXPECT_EQ(*wide.photo.at(2, 4), 44);
  EXPECT_EQ(*wide.mask.at(2, 4), 44);
}

}  // namespace
}  // namespace pixelwise
