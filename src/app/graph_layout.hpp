// Where the maps of a network stand in its drawing (graph_svg.hpp): one behind the other along a spine, side by side
// where branches begin at one map and meet in one, and what jumps over others.
#pragma once
#include <vector>

#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

enum class BoxKind : uint8_t { photo, conv, pointwise, depthwise, atrous, pool, upsample, concat, add };

/// A map, drawn as a box around (x, y): its height is the map's, its width the logarithm of the channels. Sums are
/// small circles. Normalisation, activation, dropout and crops belong to the box of the map that they change.
struct Box {
  int node = -1;  ///< that makes the map; -1: the photo
  ValueId value = no_value;
  BoxKind kind = BoxKind::photo;
  std::vector<size_t> from;  ///< boxes that it reads, without indices of pooling
  int pool = -1;             ///< of an unpooling: the box that gives its indices
  double x = 0, y = 0, w = 0, h = 0;
};

/// Branches side by side: chains of boxes from one box to a concatenation.
struct Fan {
  size_t from = 0, to = 0;
  std::vector<std::vector<size_t>> branches;
};

enum class LinkKind : uint8_t {
  shortcut,  ///< of a residual block; drawn above
  skip,      ///< over an upsampling, from encoder to decoder; drawn below
  indices,   ///< of pooling; drawn below
};
/// What jumps over boxes of the spine, past `lane` (y of the horizontal part), through the boxes of `chain`.
struct Link {
  LinkKind kind = LinkKind::skip;
  size_t from = 0, to = 0;
  std::vector<size_t> chain;
  double lane = 0;
};

/// Neighbours on the spine that have the same stride.
struct Stage {
  std::vector<size_t> boxes;
  double left = 0, right = 0;
};

struct GraphLayout {
  std::vector<Box> boxes;  ///< in execution order; the first is the photo
  std::vector<size_t> spine;
  std::vector<Fan> fans;
  std::vector<Link> links;
  std::vector<Stage> stages;
  double scale = 1;  ///< lengths of the drawing for a pixel of the photo
  double top = 0, bottom = 0, width = 0;
};

/// Of a forward graph that was not fused, whose input is the value `image`.
GraphLayout layout_of(const Graph& graph, ValueId image);

}  // namespace pixelwise
