#include "pixelwise/core/shape.hpp"

namespace pixelwise {

std::string to_string(const Size& size) { return std::to_string(size.h) + "x" + std::to_string(size.w); }

std::string to_string(const Shape& shape) {
  return std::to_string(shape.n) + "x" + to_string(shape.size()) + "x" + std::to_string(shape.c);
}

}  // namespace pixelwise
