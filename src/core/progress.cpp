#include "pixelwise/core/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/format.hpp"

namespace pixelwise {
namespace {

constexpr std::chrono::milliseconds between_rewrites{100}, between_lines{5000};

bool is_terminal(std::FILE* file) {
  const char* kind = std::getenv("TERM");
  return isatty(fileno(file)) && !(kind && std::string(kind) == "dumb");
}

}  // namespace

std::string duration_text(double seconds) {
  const int64_t s = static_cast<int64_t>(std::max(0.0, seconds));
  if (s >= 3600) return format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return format("{}:{:02}", s / 60, s % 60);
}

Progress::Progress(int64_t total, int64_t first, std::FILE* file, Style style)
    : total_(total),
      first_(first),
      done_(first),
      file_(file),
      terminal_(style == Style::automatic ? is_terminal(file) : style == Style::terminal),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, const std::string& text) {
  done_ = done;
  text_ = text;
  unprinted_ = true;
  const auto now = std::chrono::steady_clock::now();
  const auto pause = terminal_ ? between_rewrites : between_lines;
  if (printed_ == std::chrono::steady_clock::time_point{} || now - printed_ >= pause || done_ >= total_) print();
}

void Progress::print() {
  printed_ = std::chrono::steady_clock::now();
  unprinted_ = false;
  const double elapsed = std::chrono::duration<double>(printed_ - start_).count();
  const double speed = elapsed > 0 ? static_cast<double>(done_ - first_) / elapsed : 0;
  const std::string left = speed > 0 ? duration_text(static_cast<double>(total_ - done_) / speed) : "?";
  const std::string rate = speed >= 1 || speed == 0 ? format("{:.1f} it/s", speed) : format("{:.1f} s/it", 1 / speed);
  const std::string line = format("{}/{} [{}<{}, {}] {}", done_, total_, duration_text(elapsed), left, rate, text_);
  std::fputs(terminal_ ? format("\r{}\x1b[K", line).c_str() : (line + "\n").c_str(), file_);
  std::fflush(file_);
  open_ = terminal_;
}

void Progress::message(const std::string& line) {
  std::fputs(open_ ? format("\r\x1b[K{}\n", line).c_str() : (line + "\n").c_str(), file_);
  std::fflush(file_);
  if (open_) print();
}

void Progress::finish() {
  if (unprinted_) print();
  if (open_) std::fputs("\n", file_);
  std::fflush(file_);
  open_ = false;
}

}  // namespace pixelwise
