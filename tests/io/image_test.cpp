// Images: what each format gives, masks by index, and damaged or unsuitable files.
#include "pixelwise/io/image.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "io/codecs.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/io/files.hpp"
#include "support/data.hpp"
#include "support/png.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

// Quicker than write_file, which waits for the disk.
void put(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

class ImageTest : public testing::Test {
 protected:
  std::string file(const std::string& bytes) {
    put(path_, bytes);
    return path_;
  }
  template <class Read>
  std::string complaint(const Read& read) {
    try {
      read();
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(path_), std::string::npos) << error.what();
      return error.what();
    }
    return "accepted";
  }

  ScratchFolder scratch_;
  std::string path_ = scratch_.path("image");
};

Image noise(int64_t height, int64_t width, int64_t channels) {
  Image image(height, width, channels);
  Random random(7, "noise");
  for (uint8_t& pixel : image.pixels) pixel = static_cast<uint8_t>(random.next_below(256));
  return image;
}

// Smooth, so that JPEG keeps it nearly unchanged.
Image ramp(int64_t height, int64_t width, int64_t channels) {
  Image image(height, width, channels);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) image.at(y, x)[c] = static_cast<uint8_t>(3 * y + 2 * x + 20 * c);
    }
  }
  return image;
}

TEST_F(ImageTest, PngKeepsEveryPixel) {
  for (const Size size : {Size{1, 1}, Size{1, 17}, Size{17, 1}, Size{13, 31}}) {
    for (const int64_t channels : {1, 3}) {
      const Image image = noise(size.h, size.w, channels);
      write_png(path_, image);
      EXPECT_EQ(read_photo(path_, channels).pixels, image.pixels);
      EXPECT_EQ(read_image_size(path_), size);
    }
  }
}

TEST_F(ImageTest, PalettePngKeepsIndicesAndColours) {
  Image ids(2, 3, 1);
  ids.pixels = {0, 1, 2, 255, 1, 0};
  std::vector<Colour> colours(256, Colour{9, 9, 9});
  colours[1] = {128, 0, 64};
  colours[255] = {224, 224, 192};
  write_palette_png(path_, ids, colours);
  EXPECT_EQ(read_mask(path_).pixels, ids.pixels);
  const Image photo = read_photo(path_);
  EXPECT_EQ(std::vector<uint8_t>(photo.at(0, 1), photo.at(0, 1) + 3), (std::vector<uint8_t>{128, 0, 64}));
  EXPECT_EQ(std::vector<uint8_t>(photo.at(1, 0), photo.at(1, 0) + 3), (std::vector<uint8_t>{224, 224, 192}));
}

TEST_F(ImageTest, MasksOfEveryDepthAreIndices) {
  using Ids = std::vector<uint8_t>;
  const std::string colours(3 * 16, 'c');
  for (const Colours kind : {grey, palette}) {
    const std::string plte = kind == palette ? colours : "", transparent = kind == palette ? std::string(1, '\0') : "";
    file(Png{5, 1, 1, kind, {"\xa8"}, plte.substr(0, 6), transparent}.bytes());
    EXPECT_EQ(read_mask(path_).pixels, (Ids{1, 0, 1, 0, 1})) << kind;
    file(Png{3, 1, 2, kind, {"\x1b"}, plte.substr(0, 12)}.bytes());
    EXPECT_EQ(read_mask(path_).pixels, (Ids{0, 1, 2})) << kind;
    file(Png{3, 2, 4, kind, {"\x12\xf0", {'\0', '\x30'}}, plte}.bytes());
    EXPECT_EQ(read_mask(path_).pixels, (Ids{1, 2, 15, 0, 0, 3})) << kind;
    file(Png{2, 1, 8, kind, {"\x05\xff"}, plte}.bytes());  // ids may lie beyond the palette
    EXPECT_EQ(read_mask(path_).pixels, (Ids{5, 255})) << kind;
  }
}

TEST_F(ImageTest, MasksThatAreNoIndicesAreRefused) {
  const auto mask = [&] { read_mask(path_); };
  file(Png{1, 1, 8, rgb, {"abc"}}.bytes());
  EXPECT_NE(complaint(mask).find("colours"), std::string::npos);
  file(Png{1, 1, 8, rgba, {"abcd"}}.bytes());
  EXPECT_NE(complaint(mask).find("colours"), std::string::npos);
  file(Png{1, 1, 16, grey, {"ab"}}.bytes());
  EXPECT_NE(complaint(mask).find("16 bits"), std::string::npos);
  write_jpeg(path_, ramp(8, 8, 1));
  EXPECT_NE(complaint(mask).find("not a PNG"), std::string::npos);
}

TEST_F(ImageTest, PhotosLoseAlphaAndTheLowerByte) {
  using Pixels = std::vector<uint8_t>;
  file(Png{1, 1, 8, rgba, {"abcd"}}.bytes());
  EXPECT_EQ(read_photo(path_).pixels, (Pixels{'a', 'b', 'c'}));
  file(Png{1, 1, 8, grey_alpha, {"ad"}}.bytes());
  EXPECT_EQ(read_photo(path_).pixels, (Pixels{'a', 'a', 'a'}));
  file(Png{1, 1, 16, rgb, {"a1b2c3"}}.bytes());
  EXPECT_EQ(read_photo(path_).pixels, (Pixels{'a', 'b', 'c'}));
  file(Png{2, 1, 1, grey, {"\x40"}}.bytes());
  EXPECT_EQ(read_photo(path_, 1).pixels, (Pixels{0, 255}));
  file(Png{1, 1, 8, palette, {{'\0'}}, "abc", "\x10"}.bytes());  // half transparent
  EXPECT_EQ(read_photo(path_).pixels, (Pixels{'a', 'b', 'c'}));
  file(Png{1, 1, 8, rgb, {"\xff\x80\x20"}}.bytes());
  EXPECT_EQ(read_photo(path_, 1).pixels, (Pixels{155}));  // 0.299 * 255 + 0.587 * 128 + 0.114 * 32 = 155.03
}

TEST_F(ImageTest, DamagedPngsAreRefused) {
  const std::string bytes = Png{3, 2, 8, palette, {{'\0', '\1', '\2'}, {'\2', '\1', '\0'}}, "aaabbbccc"}.bytes();
  file(bytes);
  EXPECT_EQ(read_mask(path_).pixels, (std::vector<uint8_t>{0, 1, 2, 2, 1, 0}));
  for (size_t length = 0; length < bytes.size(); ++length) {
    file(bytes.substr(0, length));
    EXPECT_NE(complaint([&] { read_mask(path_); }), "accepted") << length;
    EXPECT_NE(complaint([&] { read_photo(path_); }), "accepted") << length;
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int mask : {1, 32, 128, 255}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ mask);
      file(changed);
      EXPECT_NE(complaint([&] { read_mask(path_); }), "accepted") << "byte " << i << " xor " << mask;
    }
  }
}

TEST_F(ImageTest, ClaimsOfHugePicturesAreNotAllocated) {
  file(Png{1u << 23, 1u << 23, 8, grey, {"x"}}.bytes());
  EXPECT_NE(complaint([&] { read_mask(path_); }).find("8388608x8388608"), std::string::npos);
  EXPECT_NE(complaint([&] { read_image_size(path_); }), "accepted");
  file("P5 100000 100000 255\n");
  EXPECT_NE(complaint([&] { read_photo(path_); }), "accepted");
}

// Sizes that would be fine if the files were not so short.
TEST_F(ImageTest, AFewBytesCannotAskForMuchMemory) {
  const auto refused = [&](const std::string& bytes) {
    file(bytes);
    for (const std::string& message :
         {complaint([&] { read_photo(path_); }), complaint([&] { read_image_size(path_); })})
      EXPECT_NE(message.find("16000x16000"), std::string::npos) << message;
  };
  for (const Colours colours : {grey, rgb}) refused(Png{16000, 16000, 8, colours, {"x"}}.bytes());
  refused("P5 16000 16000 255\n");
  write_jpeg(path_, ramp(8, 8, 3));
  std::string jpeg = read_file(path_);
  const size_t header = jpeg.find("\xff\xc0");
  ASSERT_NE(header, std::string::npos);
  jpeg.replace(header + 5, 4, "\x3e\x80\x3e\x80");  // 16000 rows, 16000 columns
  refused(jpeg);

  const Image plain(3000, 2000, 1, 5);  // packs as well as anything can
  write_png(path_, plain);
  EXPECT_EQ(read_photo(path_, 1).pixels, plain.pixels);
  write_jpeg(path_, plain);
  EXPECT_EQ(read_photo(path_, 1).size(), plain.size());
}

// What texts and profiles inflate to is not looked at: a few of them could hold gigabytes.
TEST_F(ImageTest, TextsAndProfilesOfAPngArePassedOver) {
  const std::string bytes = Png{1, 1, 8, grey, {"x"}}.bytes();
  for (const char* type : {"zTXt", "iCCP", "iTXt", "sPLT"}) {
    file(std::string(bytes).insert(33, chunk(type, std::string("k\0\0", 3) + std::string(40, 'x'))));
    EXPECT_EQ(read_photo(path_, 1).pixels, (std::vector<uint8_t>{'x'})) << type;
  }
}

// 8x8 grey pixels: a scan for the mean, and `scans` for the waves, all of which are 0.
std::string progressive_jpeg(int scans) {
  const auto segment = [](char marker, const std::string& content) {
    return std::string("\xff") + marker + big_endian(static_cast<uint32_t>(content.size() + 2)).substr(2) + content;
  };
  const std::string one_code = '\1' + std::string(16, '\0');  // a Huffman table: the bit 0 means 0
  std::string bytes = "\xff\xd8" + segment('\xdb', '\0' + std::string(64, '\1')) +
                      segment('\xc2', std::string("\x08\0\x08\0\x08\x01\x01\x11\0", 9)) +
                      segment('\xc4', '\0' + one_code) + segment('\xc4', '\x10' + one_code) +
                      segment('\xda', std::string("\x01\x01\0\0\0\0", 6)) + '\x7f';
  for (int i = 0; i < scans; ++i) bytes += segment('\xda', std::string("\x01\x01\0\x01\x3f\0", 6)) + '\x7f';
  return bytes + "\xff\xd9";
}

TEST_F(ImageTest, ProgressiveJpegsHaveALimitedNumberOfScans) {
  if (jpeg_library() == "stb_image") GTEST_SKIP() << "stb_image has no limit";
  file(progressive_jpeg(50));
  EXPECT_EQ(read_photo(path_, 1).pixels, std::vector<uint8_t>(64, 128));
  file(progressive_jpeg(600));
  EXPECT_NE(complaint([&] { read_photo(path_, 1); }).find("scans"), std::string::npos);
}

TEST_F(ImageTest, JpegIsCloseToWhatWasWritten) {
  for (const Size size : {Size{1, 1}, Size{17, 9}, Size{33, 40}}) {
    for (const int64_t channels : {1, 3}) {
      const Image image = ramp(size.h, size.w, channels);
      write_jpeg(path_, image, 98);
      const Image back = read_photo(path_, channels);
      ASSERT_EQ(back.size(), size);
      EXPECT_EQ(read_image_size(path_), size);
      for (size_t i = 0; i < image.pixels.size(); ++i) EXPECT_NEAR(back.pixels[i], image.pixels[i], 6) << i;
    }
  }
}

TEST_F(ImageTest, TruncatedJpegsAreRefused) {
  write_jpeg(path_, noise(40, 40, 3));
  const std::string bytes = read_file(path_);
  for (size_t length = 0; length + 2 < bytes.size(); length += 37) {
    file(bytes.substr(0, length));
    EXPECT_NE(complaint([&] { read_photo(path_); }), "accepted") << length << " of " << bytes.size();
  }
}

TEST_F(ImageTest, ChangedBytesOfAJpegDoNotCrash) {
  write_jpeg(path_, ramp(16, 16, 3));
  const std::string bytes = read_file(path_);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    file(changed);
    complaint([&] { read_photo(path_); });
  }
}

TEST_F(ImageTest, OtherFormatsAreReadWhole) {
  const std::string ppm = "P6 2 1 255\nabcdef", pgm = "P5 3 1 255\nxyz";
  file(ppm);
  EXPECT_EQ(read_photo(path_).pixels, (std::vector<uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  EXPECT_EQ(read_image_size(path_), (Size{1, 2}));
  file(pgm);
  EXPECT_EQ(read_photo(path_, 1).pixels, (std::vector<uint8_t>{'x', 'y', 'z'}));
  std::string tga(18, '\0');  // uncompressed colours, 2x1 pixels, first row on top
  tga[2] = 2, tga[12] = 2, tga[14] = 1, tga[16] = 24, tga[17] = 0x20;
  tga += "bgrBGR";
  file(tga);
  EXPECT_EQ(read_photo(path_).pixels, (std::vector<uint8_t>{'r', 'g', 'b', 'R', 'G', 'B'}));
  std::string bmp("BM\x42\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\1\0\0\0\1\0\x18\0", 30);  // 2x1 of 24 bits
  bmp += std::string(24, '\0') + "bgrBGR" + std::string(2, '\0');
  file(bmp);
  EXPECT_EQ(read_photo(path_).pixels, (std::vector<uint8_t>{'r', 'g', 'b', 'R', 'G', 'B'}));

  for (const std::string& whole : {ppm, pgm, tga, bmp.substr(0, bmp.size() - 2)}) {
    for (size_t length = 0; length < whole.size(); ++length) {
      file(whole.substr(0, length));
      EXPECT_NE(complaint([&] { read_photo(path_); }), "accepted") << whole.substr(0, 2) << " cut at " << length;
    }
  }
  for (const char* overflow : {"P5 77777777777772 1 255\nx", "P5 #\n4294967297 1 255\nx", "P6 1 1 4294967551\nxyz"}) {
    file(overflow);
    EXPECT_NE(complaint([&] { read_photo(path_); }).find("nine digits"), std::string::npos) << overflow;
  }
  file("P5 # 77777777777777 in a comment\n1 1 255\nx");
  EXPECT_EQ(read_photo(path_, 1).pixels, (std::vector<uint8_t>{'x'}));
  file("This is not an image.");
  EXPECT_NE(complaint([&] { read_photo(path_); }), "accepted");
}

TEST(Image, PathsAreKnownByTheirSuffix) {
  for (const char* path : {"a.jpg", "b/c.JPEG", "x.png", "x.bmp", "x.ppm"}) EXPECT_TRUE(is_image_path(path)) << path;
  for (const char* path : {"a.txt", "jpg", "a.jpg.part", "", ".png"}) EXPECT_FALSE(is_image_path(path)) << path;
}

// A photo of PASCAL VOC and its mask: the ids are 0 to 20 and 255.
TEST(Image, VocMasksAreClassIds) {
  const std::string root = test_data();
  if (root.empty()) GTEST_SKIP() << "PIXELWISE_TEST_DATA is not set";
  const std::string voc = root + "/VOCdevkit/VOC2012/";
  const std::string list = read_file(voc + "ImageSets/Segmentation/val.txt"), name = list.substr(0, list.find('\n'));
  const Image photo = read_photo(voc + "JPEGImages/" + name + ".jpg");
  const Image mask = read_mask(voc + "SegmentationClass/" + name + ".png");
  EXPECT_EQ(photo.size(), mask.size());
  for (const uint8_t id : mask.pixels) ASSERT_TRUE(id <= 20 || id == 255) << int{id};
}

}  // namespace
}  // namespace pixelwise
