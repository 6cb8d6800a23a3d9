// Measured by tools/tune.sh; do not edit. See kernels/conv2d_table.hpp for what the columns are, and docs/design.md
// (Selection) for why.
#include "kernels/convolution.hpp"

namespace pixelwise {

const std::string_view convolution_table_text = R"(
# isa    pass             kernel stride dilation    in   out  pixels faster               ms than                 ms
)";

}  // namespace pixelwise
