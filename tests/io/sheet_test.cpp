#include "pixelwise/io/sheet.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pixelwise {
namespace {

int64_t lit(const Image& image) {
  return std::count_if(image.pixels.begin(), image.pixels.end(), [](uint8_t p) { return p != 0; });
}

std::string rows_of(const Image& image) {
  std::string text;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) text += *image.at(y, x) ? '#' : '.';
    text += '\n';
  }
  return text;
}

TEST(Sheet, LettersLookLikeLetters) {
  Image canvas(7, 17, 1);
  draw_text(canvas, 0, 0, "Fg1", {255, 255, 255});
  EXPECT_EQ(rows_of(canvas),
            "#####.........#..\n"
            "#......####..##..\n"
            "#.....#...#...#..\n"
            "####..#...#...#..\n"
            "#......####...#..\n"
            "#.........#...#..\n"
            "#......###...###.\n");
}

TEST(Sheet, EveryCharacterButSpaceIsVisibleAndUnlikeTheOthers) {
  std::vector<std::string> seen;
  for (char c = '!'; c <= '~'; ++c) {
    Image canvas(7, 5, 1);
    draw_text(canvas, 0, 0, std::string(1, c), {255, 0, 0});
    EXPECT_GT(lit(canvas), 2) << c;
    seen.push_back(rows_of(canvas));
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

TEST(Sheet, TextIsCutOffAtTheBordersAndScales) {
  Image canvas(10, 10, 3);
  draw_text(canvas, -3, -3, "W\xc3\xa4long", {1, 2, 3}, 2);
  draw_text(canvas, 100, 100, "outside", {1, 2, 3});
  EXPECT_GT(lit(canvas), 0);
  EXPECT_EQ(text_size("abc", 2), (Size{14, 34}));
  EXPECT_EQ(text_size(""), (Size{7, 0}));

  Image once(7, 5, 1), twice(14, 10, 1);
  draw_text(once, 0, 0, "R", {255, 255, 255});
  draw_text(twice, 0, 0, "R", {255, 255, 255}, 2);
  EXPECT_EQ(enlarge(once, 2).pixels, twice.pixels);
}

TEST(Sheet, PastesGreyAndColour) {
  Image canvas(4, 4, 3), grey(2, 2, 1, 7), colour(1, 1, 3);
  colour.pixels = {1, 2, 3};
  paste(canvas, grey, 3, 3);
  paste(canvas, colour, 0, 1);
  EXPECT_EQ(std::vector<uint8_t>(canvas.at(3, 3), canvas.at(3, 3) + 3), (std::vector<uint8_t>{7, 7, 7}));
  EXPECT_EQ(std::vector<uint8_t>(canvas.at(0, 1), canvas.at(0, 1) + 3), (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ(lit(canvas), 6);
  EXPECT_THROW(paste(grey, colour, 0, 0), std::invalid_argument);
}

TEST(Sheet, GridHasAColumnForEachPictureOfTheLongestRow) {
  const Image wide(3, 40, 1, 9), small(5, 10, 3, 8);
  const Image sheet = draw_sheet({{{"photo", wide}, {"a long caption", small}}, {{"truth", small}}}, 2);
  EXPECT_EQ(sheet.size(), (Size{2 + 9 + 5 + 2 + 9 + 5 + 2, 2 + 40 + 2 + 10 + 2}));
  EXPECT_EQ(*sheet.at(2 + 9, 2), 9);          // the first picture below its caption
  EXPECT_EQ(*sheet.at(2 + 9, 44), 8);         // the second beside it
  EXPECT_EQ(*sheet.at(2 + 9 + 16, 2), 8);     // the third below the first
  for (int64_t y = 0; y < sheet.height; ++y)  // captions stay within their columns
    EXPECT_EQ(*sheet.at(y, 54), 0);
  EXPECT_EQ(draw_sheet({}, 2).size(), (Size{2, 2}));
}

}  // namespace
}  // namespace pixelwise
