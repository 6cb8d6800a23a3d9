#include <sys/mman.h>

#include <utility>

#include "core/format.hpp"
#include "pixelwise/core/checked.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/parameters.hpp"

namespace pixelwise {
namespace {

constexpr int64_t huge_page = int64_t{2} << 20;

}  // namespace

Memory::Memory(int64_t bytes) : bytes_(bytes) {
  if (bytes <= 0) return;
  const int64_t available = available_memory();
  void* block = bytes > available ? MAP_FAILED
                                  : mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED)
    throw ResourceError(format("{:.1f} MiB of memory are needed, {:.1f} MiB are available: use a smaller crop or batch",
                               static_cast<double>(bytes) / (1 << 20), static_cast<double>(available) / (1 << 20)));
  if (bytes >= huge_page) madvise(block, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(block);
}

Memory::~Memory() {
  if (data_) munmap(data_, static_cast<size_t>(bytes_));
}

Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace pixelwise
