// What this processor can do, and which instruction set the kernels use.
#pragma once
#include <cstdint>
#include <string>

namespace pixelwise {

/// Kernels are compiled once for each of these; a larger one includes the smaller ones. amx: AVX-512 and the tiles of
/// Intel's AMX (bf16); only the kernels of convolutions have a version of their own for it.
enum class Isa : int { baseline = 0, avx2 = 1, avx512 = 2, amx = 3 };

const char* to_string(Isa isa);
Isa best_isa();              ///< of this processor
Isa isa();                   ///< in use: best_isa(), or PIXELWISE_ISA (baseline, avx2, ...) where that is lower
std::string cpu_name();      ///< as the processor calls itself
int64_t available_memory();  ///< bytes that this process may still use: MemAvailable, capped by ulimit -v

}  // namespace pixelwise
