// Measured by tools/tune.sh; do not edit. See kernels/conv2d_table.hpp for what the columns are, and docs/design.md
// (Selection) for why.
#include "kernels/convolution.hpp"

namespace pixelwise {

const std::string_view convolution_table_text = R"(
# isa    pass             kernel stride dilation    in   out  pixels faster               ms than                 ms
avx512   forward          3x3    1x1    1x1        256   256    1089 winograd4         2.623 winograd6         2.909
avx512   backward_data    3x3    1x1    1x1         64    64   16641 winograd4         2.233 winograd6         2.559
avx512   backward_data    3x3    1x1    1x1        256   256    1089 winograd4         2.575 winograd6         2.710
amx      forward          1x1    1x1    1x1         96   576    1089 implicit_gemm     0.593 amx               0.653
amx      forward          3x3    1x1    1x1        304   256   16641 winograd6        21.771 amx              23.264
amx      forward          3x3    1x1    18x18      320   256    1089 winograd_pairs     2.168 amx               2.531
amx      backward_data    1x1    1x1    1x1         96   576    1089 implicit_gemm     0.495 amx               0.560
amx      backward_data    1x1    1x1    1x1        384    96    1089 implicit_gemm     0.320 amx               0.341
amx      backward_data    1x1    1x1    1x1        576    96    1089 implicit_gemm     0.481 amx               0.503
amx      backward_data    3x3    1x1    1x1        256   256   16641 winograd6        19.103 amx              21.141
amx      backward_data    3x3    1x1    1x1        304   256   16641 winograd6        22.155 amx              25.034
amx      backward_data    3x3    1x1    12x12      320   256    1089 winograd3         2.458 amx               2.671
amx      backward_data    3x3    1x1    18x18      320   256    1089 winograd_pairs     1.980 amx               2.947
amx      backward_weights 1x1    1x1    1x1       1280   256    1089 implicit_gemm     3.215 amx               3.651
amx      backward_weights 3x3    1x1    1x1        256   256   16641 winograd4        28.267 amx              37.964
amx      backward_weights 3x3    1x1    1x1        304   256   16641 winograd6        33.054 amx              41.067
amx      backward_weights 3x3    1x1    6x6        320   256    1089 winograd6         2.610 amx               5.498
amx      backward_weights 3x3    1x1    12x12      320   256    1089 implicit_gemm     3.464 amx               5.418
amx      backward_weights 3x3    1x1    18x18      320   256    1089 implicit_gemm     2.920 amx               5.888
)";

}  // namespace pixelwise
