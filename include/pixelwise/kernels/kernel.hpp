// The contract between the graph and the kernels: what a kernel is given, and how one is selected.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/operators.hpp"
#include "pixelwise/core/view.hpp"

namespace pixelwise {

/// An input as a kernel reads it: act(scale * x + shift) per channel, applied while it is packed. Borders (padding)
/// are 0 after it. Without scale and shift (null Views) it is act(x).
struct Source {
  View view, scale, shift;
  Activation act = Activation::none;
  bool plain() const { return !scale && !shift && act == Activation::none; }
};

enum class Mode : uint8_t { write, add };  ///< dst = result, or dst += result
struct Destination {
  View view;
  Mode mode = Mode::write;
};

/// What is done to dst[0] as it leaves the kernel: dst = act(scale * result + shift + residual) * act'(gate), scale and
/// shift per channel (both or none). The gate is the activation's *output*: act'(gate) is 1 where 0 < gate (and gate <
/// 6 for relu6), else 0.
struct Epilogue {
  View scale, shift;
  View residual;
  Activation act = Activation::none;
  View gate;
  Activation gate_act = Activation::none;
};

/// Keys of the random numbers of one step (dropout).
struct StepKey {
  uint64_t seed = 0, epoch = 0, step = 0;
  uint64_t first_sample = 0;  ///< image n of the batch is sample first_sample + n of the step
};

/// Everything a kernel touches. Which operand is which is documented beside each operator's `..._kernels`.
struct Arguments {
  std::vector<Source> src;
  std::vector<Destination> dst;
  std::vector<View> parameters;
  Epilogue epilogue;
  std::byte* scratch = nullptr;  ///< 64-byte aligned, Kernel::scratch_bytes, dead when the call returns
  std::byte* packed = nullptr;   ///< 64-byte aligned, Kernel::packed_bytes, filled by Kernel::pack
  const StepKey* key = nullptr;
  uint64_t node_key = 0;  ///< of the node's name, for random numbers
};

struct Kernel {
  const char* name = "";
  int64_t scratch_bytes = 0;
  int64_t packed_bytes = 0;
  std::function<void(const Arguments&)> pack = nullptr;  ///< parameters -> packed; where packed_bytes > 0
  std::function<void(const Arguments&)> run = nullptr;   ///< allocates nothing
  std::string declined{};                                ///< why this kernel cannot serve the problem; empty: it can
};

/// strict: plain fp32 sums in every kernel. fp32: any algorithm whose error stays below 5e-5 of the largest output of
/// the same channel (Winograd, products of bf16 parts).
enum class Precision : uint8_t { strict, fp32 };
const char* to_string(Precision precision);

struct TensorDesc {
  Type type = Type::f32;
  Shape shape;
};

/// What selection looks at; never the number of threads (that only sizes scratch), cache sizes or timings.
struct Problem {
  Pass pass = Pass::forward;
  std::vector<TensorDesc> src, dst, parameters;
  Isa isa = Isa::baseline;
  Precision precision = Precision::fp32;
  /// Is a convolution to take the statistics of its result as it leaves? Mean and biased variance of each channel go to
  /// Arguments::dst[1], 2C doubles (which is not among `dst` here). The epilogue is empty, and the result written.
  bool moments = false;
  bool fixed_parameters = false;  ///< inference: what a kernel makes of the parameters is made once, and kept
  int threads = 1;
};

/// All kernels of an operator for a problem, in order of preference; the last is always the definition, and never
/// declines. (One such function per operator, in kernels/<operator>.hpp.)
using Candidates = std::vector<Kernel>;

/// The first candidate that does not decline; or the one named by PIXELWISE_KERNELS (a comma-separated list of
/// kernel names; `definition` is served by every operator) where the operator has it and it does not decline.
Kernel select(const Candidates& candidates);
/// Overrides PIXELWISE_KERNELS (for tests); an empty string goes back to the default selection.
void force_kernels(const std::string& names);

}  // namespace pixelwise
