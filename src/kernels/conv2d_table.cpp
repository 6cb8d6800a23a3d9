// Measured by tools/tune.sh; do not edit. See kernels/conv2d_table.hpp for what the columns are, and docs/design.md
// (Selection) for why.
#include "kernels/convolution.hpp"

namespace pixelwise {

const std::string_view convolution_table_text = R"(
# isa    pass             kernel stride dilation    in   out  pixels faster               ms than                 ms
avx512   forward          3x3    1x1    1x1         64    64   16641 winograd6         2.360 winograd4         2.475
avx512   forward          3x3    1x1    1x1         64   128   43200 winograd6        11.305 winograd4        11.805
avx512   forward          3x3    1x1    1x1        128   128    4225 winograd6         2.121 winograd4         2.271
avx512   forward          3x3    1x1    1x1        512   256    2700 winograd4         9.805 winograd6        10.237
avx512   backward_data    3x3    1x1    1x1         64    64   16641 winograd6         2.344 winograd4         2.638
avx512   backward_data    3x3    1x1    1x1        128   128    4225 winograd6         2.094 winograd4         2.203
avx512   backward_data    3x3    1x1    1x1        256   256   10800 winograd4        19.137 winograd6        20.699
avx512   backward_data    3x3    1x1    1x1        256   512    2700 winograd4        10.266 winograd6        10.884
avx512   backward_data    3x3    1x1    1x1        512   256    2700 winograd4         9.465 winograd6        11.075
avx512   backward_data    3x3    1x1    1x1        512   512     690 winograd4         5.661 winograd6         6.573
avx512   backward_data    3x3    1x1    1x1        512   512    2700 winograd4        19.725 winograd6        22.431
avx512   backward_data    3x3    1x1    12x12     2048   256    1089 winograd4        31.204 implicit_gemm    35.742
avx512   backward_weights 3x3    1x1    1x1         64    64   16641 winograd6         3.561 winograd4         4.266
avx512   backward_weights 3x3    1x1    1x1        128   128    4225 winograd6         2.280 winograd4         2.497
avx512   backward_weights 3x3    1x1    1x1        128   256   10800 winograd6        13.431 winograd4        13.959
avx512   backward_weights 3x3    1x1    1x1        512   256    2700 winograd4        10.371 winograd6        11.582
avx512   backward_weights 3x3    1x1    1x1        512   512     690 winograd4         5.553 winograd6         6.401
avx512   backward_weights 3x3    1x1    1x1        512   512    2700 winograd4        20.747 winograd6        21.867
)";

}  // namespace pixelwise
