#include "pixelwise/core/version.hpp"

namespace pixelwise {

const char* version() { return PIXELWISE_VERSION; }

}  // namespace pixelwise
