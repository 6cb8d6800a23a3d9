// The memory that a training needs, known before any of it is allocated.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>

#include "pixelwise/app/config.hpp"
#include "pixelwise/core/shape.hpp"

namespace pixelwise {

struct TrainingMemory {
  int64_t arena = 0;       ///< of the planned training step
  int64_t validation = 0;  ///< of the largest photo that is validated on, in the same arena
  int64_t parameters = 0;  ///< with the running statistics and the states of the optimiser
  int64_t loading = 0;     ///< batches loaded ahead, the stacks of all threads, and some for photos and pictures
  int64_t total() const { return std::max(arena, validation) + parameters + loading; }
};

/// Where the address space is limited (ulimit -v): lets all threads allocate from one heap, for the C library would
/// reserve 64 MiB of it for each. Before threads allocate.
void share_one_heap();
/// Of a training on crops of `size`; `photo` is validation_size, or nothing where it is not known.
TrainingMemory training_memory(const Config& config, Size size, Size photo);
/// Where `available` bytes are too few: what is needed, and the largest batch and crop that fit; else empty.
std::string memory_shortage(const Config& config, Size size, Size photo, int64_t available);

}  // namespace pixelwise
