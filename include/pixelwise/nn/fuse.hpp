// Moves work into the node before: fewer passes over memory, the same result.
#pragma once
#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

/// To be called on a forward graph, before differentiate: an activation that is the only reader of a convolution, a
/// batch norm or a sum becomes Node::act of that node, and its node disappears. (Backward then starts from the output
/// y: relu'(x) is 1 exactly where y > 0.) A sum of a map and a batch norm that nobody else reads becomes Node::residual
/// of the batch norm, if it takes the statistics of the batch.
void fuse(Graph& graph);

/// Before differentiate: a loss whose scores come from a resize that nobody else reads resizes them itself, a tile at a
/// time, and targets that one_hot makes of class ids are read as ids. Neither the scores nor their gradient nor the
/// targets of the photo's size are then in memory, each of which is as large as the largest maps of a network.
void fuse_losses(Graph& graph);

/// After fuse, on a graph that is not differentiated: a batch norm with constant statistics that is the only reader of
/// a convolution becomes Node::batch_norm of it, a sum of the result and another map Node::residual. The convolution
/// then writes act(scale * result + shift + residual) in one pass.
void fold(Graph& graph);

/// After fold, on a graph that is not differentiated: a max pooling by 2x2 with stride 2 that is the only reader of a
/// convolution, and whose indices nobody reads, becomes Node::max_pool of it, where the kernel that serves the
/// convolution best (with this precision) can do that. The map that is pooled is then never in memory.
void fold_max_pools(Graph& graph, Precision precision);

/// After fuse and differentiate: a convolution whose result a batch norm takes the statistics of takes them as the
/// result leaves it (Node::moments), where the kernel that serves it best (with this precision) can do that.
void fuse_moments(Graph& graph, Precision precision);

/// After fuse and differentiate: a batch norm that is read by convolutions alone (forward, and for the gradients of
/// their weights) only takes the statistics; the convolutions normalise and activate what they pack. Its result is
/// neither written nor kept for backward.
void defer_batch_norms(Graph& graph);

}  // namespace pixelwise
