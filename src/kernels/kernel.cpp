#include "pixelwise/kernels/kernel.hpp"

#include <cstdlib>
#include <mutex>

#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

std::mutex forced_mutex;
std::string forced_names = [] {
  const char* names = std::getenv("PIXELWISE_KERNELS");
  return std::string(names ? names : "");
}();

bool is_forced(const std::string& names, const std::string& name) {
  return ("," + names + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

const char* to_string(Precision precision) { return precision == Precision::strict ? "strict" : "fp32"; }

void force_kernels(const std::string& names) {
  const std::lock_guard lock(forced_mutex);
  forced_names = names;
}

Kernel select(const Candidates& candidates) {
  const std::lock_guard lock(forced_mutex);
  if (!forced_names.empty()) {
    for (const Kernel& kernel : candidates) {
      if (kernel.declined.empty() && is_forced(forced_names, kernel.name)) return kernel;
    }
  }
  for (const Kernel& kernel : candidates) {
    if (kernel.declined.empty()) return kernel;
  }
  throw UsageError("no kernel serves this problem: " + (candidates.empty() ? "none" : candidates.back().declined));
}

}  // namespace pixelwise
