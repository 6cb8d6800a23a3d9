// Measured by tools/tune.sh; do not edit. See kernels/conv2d_table.hpp for what the columns are, and docs/design.md
// (Selection) for why.
#include "kernels/convolution.hpp"

namespace pixelwise {

const std::string_view convolution_table_text = R"(
# isa    pass             kernel stride dilation    in   out  pixels faster               ms than                 ms
avx512   forward          3x3    1x1    1x1          3    64  187500 winograd3         5.707 implicit_gemm     6.628
avx512   forward          3x3    1x1    1x1        256   256    1089 winograd4         2.623 winograd6         2.909
avx512   backward_data    3x3    1x1    1x1         64    64   16641 winograd4         2.233 winograd6         2.559
avx512   backward_data    3x3    1x1    1x1        256   256    1089 winograd4         2.575 winograd6         2.710
avx512   backward_weights 3x3    1x1    1x1         64    64   16641 winograd4         2.779 winograd6         3.326
avx512   backward_weights 3x3    1x1    1x1         64    64  172800 winograd3        33.187 winograd6        34.569
avx512   backward_weights 3x3    1x1    1x1         64    64  187500 winograd4        38.764 winograd6        40.067
)";

}  // namespace pixelwise
