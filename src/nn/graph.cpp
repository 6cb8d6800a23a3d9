#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

ValueId Graph::find(const std::string& name) const {
  for (size_t id = 0; id < values.size(); ++id) {
    if (values[id].name == name) return static_cast<ValueId>(id);
  }
  return no_value;
}

}  // namespace pixelwise
