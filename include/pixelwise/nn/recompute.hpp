// Gradient checkpointing: memory for time. (Chen, Xu, Zhang, Guestrin 2016, "Training deep nets with sublinear memory
// cost", https://arxiv.org/abs/1604.06174, section 4.)
#pragma once
#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

/// Which nodes may run a second time, so that their results need not be kept for backward.
enum class Recompute : uint8_t {
  none,
  cheap,  ///< all but convolutions
  all,
};

/// To be called on a graph that is differentiated (and whose batch norms are deferred), before it is planned. Cuts the
/// forward pass into `segments`, at places where few bytes cross. What crosses a cut, what is small (vectors, indices)
/// and the results of the last segment are kept from forward to backward; everything else that backward reads is
/// computed again, by nodes named "NAME.replay", just before it is first read there. The results are the same bits: a
/// batch norm takes the statistics that it took in forward, dropout draws the same numbers.
void recompute(Graph& graph, Recompute which, int segments);

/// The same with the number of segments whose planned arena is the smallest of a few. Where none is smaller than
/// without recomputing, the graph stays as it is.
void recompute(Graph& graph, Recompute which, Precision precision);

}  // namespace pixelwise
