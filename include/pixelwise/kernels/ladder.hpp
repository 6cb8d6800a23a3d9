// The ladder: one and the same convolution written several times over, each time faster for one more reason. It is
// there to be read, from the first rung to the last, before the kernels that Pixelwise really uses
// (docs/3-fast-convolution.md).
#pragma once
#include <string>
#include <vector>

#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/shape.hpp"

namespace pixelwise {

/// y[n, y, x, o] = sum over ky, kx in 0..2 and i of x[n, y + ky - 1, x + kx - 1, i] * weights[o, ky, kx, i], with 0
/// outside the map: 3x3, stride 1, padding 1, no bias; f32, channels last, dense.
struct LadderProblem {
  Shape shape;                     ///< of x: {n, h, w, in}
  int64_t out = 0;                 ///< channels of y
  const float* x = nullptr;        ///< {n, h, w, in}
  const float* weights = nullptr;  ///< {out, 3, 3, in}
  float* y = nullptr;              ///< {n, h, w, out}
  std::vector<float> scratch{};    ///< grown by the rungs; kept from one call to the next

  /// Floating-point operations of the definition: 2 * 9 * in * out for each pixel.
  double flops() const { return 18.0 * static_cast<double>(shape.count()) * static_cast<double>(out); }
};

struct Rung {
  std::string name, idea;
  bool threaded;  ///< on all threads of parallel_for; otherwise on one
  void (*run)(LadderProblem&);
  bool emulated = false;  ///< this instruction set lacks what it is about: right, but slow
};

/// From the definition to the tiles of AMX, as this instruction set runs them.
std::vector<Rung> ladder(Isa isa);

}  // namespace pixelwise
