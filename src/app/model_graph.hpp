// The graph that segdescribe and segbench look at.
#pragma once
#include "pixelwise/app/commands.hpp"
#include "pixelwise/app/experiment.hpp"

namespace pixelwise {

struct ModelGraph {
  Config config;
  Graph graph;
  bool training = false;
};
ModelGraph model_graph(const ModelArguments& arguments);

}  // namespace pixelwise
