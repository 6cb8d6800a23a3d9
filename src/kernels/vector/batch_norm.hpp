// What the vector batch norm is told, and its entry points in each instruction set.
#pragma once
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

struct BatchNormJob {
  double eps = 0, momentum = 0;
  bool training = true;
  int64_t rows = 1, strips = 1;  ///< rows of a strip, strips of an image
  int64_t factors_offset = 0;    ///< bytes: scratch holds 2C total sums, 2C sums a strip, then 3C floats
};

namespace baseline {
void batch_norm_forward(const BatchNormJob&, const Arguments&);
void batch_norm_backward(const BatchNormJob&, const Arguments&);
}  // namespace baseline
namespace avx2 {
void batch_norm_forward(const BatchNormJob&, const Arguments&);
void batch_norm_backward(const BatchNormJob&, const Arguments&);
}  // namespace avx2
namespace avx512 {
void batch_norm_forward(const BatchNormJob&, const Arguments&);
void batch_norm_backward(const BatchNormJob&, const Arguments&);
}  // namespace avx512

}  // namespace pixelwise
