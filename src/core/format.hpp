// Text formatting, behind our own name.
#pragma once
#include <fmt/format.h>

namespace pixelwise {
using fmt::format;
}  // namespace pixelwise
