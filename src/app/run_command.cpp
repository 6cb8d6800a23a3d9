#include <cstdio>
#include <new>

#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

int run_command(const std::string& tool, const std::function<int()>& command) {
  const auto fail = [&](ExitCode code, const std::string& message) {
    std::fflush(stdout);
    std::fputs(format("{}: error: {}\n", tool, message).c_str(), stderr);
    return static_cast<int>(code);
  };
  try {
    const int code = command();
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      return fail(ExitCode::resources, "cannot write to standard output");
    return code;
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::resources, "out of memory: use a smaller train.batch_size, augment.crop or photo");
  } catch (const std::exception& error) {
    return fail(ExitCode::data, error.what());
  }
}

}  // namespace pixelwise
