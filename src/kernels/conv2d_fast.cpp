#include "kernels/convolution.hpp"

namespace pixelwise {

Candidates fast_convolution_kernels(const Convolution&, const Problem&) { return {}; }

}  // namespace pixelwise
