// Errors carry the exit code that the command line ends with. Messages say which file, node, key or pixel; what was
// given; what was wanted; what to do.
#pragma once
#include <stdexcept>
#include <string>

namespace pixelwise {

/// The exit codes of all tools (docs/design.md); 128 + signal number where a signal stopped the run after saving.
enum class ExitCode : int { done = 0, usage = 2, data = 3, resources = 4, diverged = 5 };

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Wrong usage or configuration: also what the graph builder throws for shapes that do not fit.
struct UsageError : Error {
  explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
};
/// A file or its content is bad.
struct DataError : Error {
  explicit DataError(const std::string& message) : Error(ExitCode::data, message) {}
};
/// Out of memory or disk.
struct ResourceError : Error {
  explicit ResourceError(const std::string& message) : Error(ExitCode::resources, message) {}
};
/// The training diverged: a loss or gradient that is not finite.
struct DivergedError : Error {
  explicit DivergedError(const std::string& message) : Error(ExitCode::diverged, message) {}
};

}  // namespace pixelwise
