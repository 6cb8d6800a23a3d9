#pragma once
#include <string>

namespace pixelwise {

/// The best weights of a run, else its last ones; throws DataError where there are none.
std::string weights_of_run(const std::string& run);

}  // namespace pixelwise
