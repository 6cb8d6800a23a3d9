// Which build this is.
#pragma once

namespace pixelwise {

const char* version();  ///< of the library: "0.1.0"

}  // namespace pixelwise
