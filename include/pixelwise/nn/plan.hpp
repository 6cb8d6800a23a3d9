// The memory plan: every value, scratch and packed weight gets its offset in one arena before anything is allocated.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

struct Plan {
  std::vector<int64_t> offset;          ///< per value, -1: not in the arena
  std::vector<int64_t> pixel_stride;    ///< per value: its channels, and a cache line more where they alias in a cache
  std::vector<int64_t> scratch_offset;  ///< per node, -1: none
  std::vector<int64_t> packed_offset;   ///< per node, -1: none
  std::vector<int64_t> folded_offset;   ///< per node, -1: none; scales, then shifts, of its folded batch norm
  std::vector<Kernel> kernels;          ///< per node
  int64_t arena_bytes = 0;
  int64_t largest_moment = 0;  ///< the node at which most bytes are alive: a lower bound on the arena
};

/// The bytes that a value takes in the arena.
int64_t value_bytes(const Graph& graph, const Plan& plan, ValueId id);
/// A value of the arena that begins at `base`.
View value_view(const Graph& graph, const Plan& plan, ValueId id, std::byte* base);

/// Of the scales and shifts that a node's folded batch norm comes to; 0: it has none.
int64_t folded_bytes(const Graph& graph, const Node& node);

/// Lifetimes -> offsets. In inference graphs (without backward nodes) packed weights and folded batch norms stay in the
/// arena for the whole run, and are made once; in training they are scratch, and made in every step.
Plan make_plan(const Graph& graph, Range nodes, Precision precision);

}  // namespace pixelwise
