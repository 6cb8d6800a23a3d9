#pragma once
#include <string>

#include "pixelwise/nn/executor.hpp"

namespace pixelwise {

/// Runs the graph once, and writes to a safetensors file, in PyTorch's order: every parameter and state before the step
/// by its name, "gradient.NAME", and the external maps image, labels, prediction {N, H, W, C} and loss {}.
void write_step(const std::string& path, Executor& executor, const Parameters& parameters);

}  // namespace pixelwise
