#include "pixelwise/core/cpu.hpp"

#include <sys/resource.h>
#ifdef PIXELWISE_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

#if defined(__x86_64__)
// The tiles are there where the processor has them and the conversions to bf16 (CPUID, leaf 7) and Linux lets this
// process use their 8 KiB of registers, which a context switch must save: arch_prctl(2), ARCH_REQ_XCOMP_PERM.
bool has_amx() {
#ifdef PIXELWISE_AMX
  constexpr unsigned bf16 = 1u << 22, tile = 1u << 24, avx512_bf16 = 1u << 5;
  constexpr long request_permission = 0x1023, tile_data = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & bf16) || !(d & tile)) return false;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & avx512_bf16)) return false;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return has_amx() ? Isa::amx : Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::baseline;
}

}  // namespace

const char* to_string(Isa value) {
  switch (value) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::amx:
      return "amx";
  }
  return "?";
}

Isa best_isa() {
  static const Isa best = detect();
  return best;
}

Isa isa() {
  static const Isa chosen = [] {
    const char* wanted = std::getenv("PIXELWISE_ISA");
    if (!wanted || !*wanted) return best_isa();
    for (const Isa candidate : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::amx}) {
      if (std::string(wanted) == to_string(candidate)) return candidate < best_isa() ? candidate : best_isa();
    }
    throw UsageError(format("PIXELWISE_ISA={}: unknown; use baseline, avx2, avx512 or amx", wanted));
  }();
  return chosen;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

int64_t available_memory() {
  int64_t available = std::numeric_limits<int64_t>::max();
  std::ifstream info("/proc/meminfo");
  for (std::string key, unit; info >> key;) {
    int64_t kib = 0;
    info >> kib;
    std::getline(info, unit);
    if (key == "MemAvailable:") available = kib * 1024;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const int64_t left = static_cast<int64_t>(limit.rlim_cur) - pages * 4096;
    available = std::min(available, std::max<int64_t>(left, 0));
  }
  return available;
}

}  // namespace pixelwise
