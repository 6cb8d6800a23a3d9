// Progress of a long loop, for people, on stderr.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace pixelwise {

/// On a terminal one line that is rewritten, elsewhere (or with TERM=dumb) a plain line every few seconds:
///   120/300 [0:41<1:02, 2.9 it/s] loss 0.412 lr 0.0081
/// Elapsed time, time to go, speed. There are no colours, so NO_COLOR is always obeyed.
class Progress {
 public:
  enum class Style { automatic, terminal, plain };

  /// first: where a resumed loop begins. The speed counts from there.
  explicit Progress(int64_t total, int64_t first = 0, std::FILE* file = stderr, Style style = Style::automatic);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` are done; `text` follows the times. Prints at most ten times a second on a terminal, and the
  /// first and the last always.
  void update(int64_t done, const std::string& text = {});
  /// Prints a line of its own between two updates.
  void message(const std::string& line);
  /// Ends the line; called by the destructor.
  void finish();

 private:
  void print();

  int64_t total_, first_, done_;
  std::FILE* file_;
  bool terminal_, unprinted_ = false, open_ = false;
  std::string text_;
  std::chrono::steady_clock::time_point start_, printed_{};
};

/// "0:41", "1:02:03": minutes or hours, rounded down.
std::string duration_text(double seconds);

}  // namespace pixelwise
