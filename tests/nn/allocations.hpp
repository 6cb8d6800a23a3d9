// Counts what the program allocates with new, so that a step can be shown to allocate nothing.
#pragma once
#include <cstdint>

namespace pixelwise {
int64_t allocations();
}
