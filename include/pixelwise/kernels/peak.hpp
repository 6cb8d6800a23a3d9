// What the processor can do at best, to compare kernels with.
#pragma once

namespace pixelwise {

/// fp32 GFLOP/s of fused multiply-adds on registers alone, on all threads of parallel_for, with the instruction set in
/// use: measured (the best of several tries), about 0.1 s.
double peak_gflops();

}  // namespace pixelwise
