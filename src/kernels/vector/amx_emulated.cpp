// The AMX kernels on processors without AMX.
#include "kernels/vector/amx_kernels.hpp"

namespace pixelwise::PIXELWISE_ISA {

const AmxEntries amx_kernels = entries_on<EmulatedTiles>();

}  // namespace pixelwise::PIXELWISE_ISA
