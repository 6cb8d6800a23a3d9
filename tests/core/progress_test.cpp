#include "pixelwise/core/progress.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

namespace pixelwise {
namespace {

// What a loop of ten updates prints.
std::string output_of(Progress::Style style) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress(10, 0, file, style);
    for (int i = 1; i <= 10; ++i) {
      progress.update(i, "loss 0.5");
      if (i == 5) progress.message("halfway");
    }
  }
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(Progress, PlainLinesElsewhere) {
  const std::string text = output_of(Progress::Style::plain);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_TRUE(std::regex_search(text, std::regex("^1/10 \\[0:00<[0-9:]+, [0-9.]+ it/s\\] loss 0.5\n"))) << text;
  EXPECT_NE(text.find("\nhalfway\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n10/10 [0:00<0:00, "), std::string::npos) << "the last is always printed\n" << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << "fast updates are not printed one by one\n" << text;
}

TEST(Progress, OneRewrittenLineOnATerminal) {
  const std::string text = output_of(Progress::Style::terminal);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << "one for the message, one at the end";
  EXPECT_EQ(text.back(), '\n');
  EXPECT_NE(text.find("\r10/10 ["), std::string::npos);
}

TEST(Progress, Durations) {
  EXPECT_EQ(duration_text(0.9), "0:00");
  EXPECT_EQ(duration_text(62), "1:02");
  EXPECT_EQ(duration_text(3723), "1:02:03");
}

}  // namespace
}  // namespace pixelwise
