#pragma once
#include <string>

#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

/// Draws a forward graph that was not fused, whose input is the value `image`, as SVG, to scale: maps as boxes (height:
/// rows; width: logarithm of the channels), branches side by side, skips, pooling indices, atrous rates, the stride and
/// receptive field of every stage.
std::string svg_of(const Graph& graph, ValueId image, const std::string& title);

}  // namespace pixelwise
