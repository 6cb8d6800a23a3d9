// The keys of a configuration as data: one table of fields gives parsing, ranges, messages, the JSON Schema and the
// documentation (io/json.hpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pixelwise/core/shape.hpp"

namespace pixelwise {

/// null, the name of a preset, or the values themselves.
template <class T>
struct NameOr {
  std::string name;
  std::vector<T> values;
  friend bool operator==(const NameOr&, const NameOr&) = default;
};

struct Field;
using Fields = std::vector<Field>;

struct Bounds {
  double low = -1e300, high = 1e300;
};

/// A key, where its value is kept, and what it may be. Size is written [h, w]; optionals may be null.
struct Field {
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::optional<int64_t>*, std::optional<double>*,
                              std::optional<std::string>*, std::vector<int64_t>*, std::optional<std::vector<int64_t>>*,
                              std::vector<double>*, std::vector<std::string>*, Size*, std::optional<Size>*,
                              NameOr<double>*, NameOr<std::string>*, Fields>;
  std::string key;
  Target target;
  std::string doc;
  Bounds bounds{};                     ///< of numbers, and of each element of a list
  std::vector<std::string> choices{};  ///< of strings; empty: any
};

/// The word of `known` that is nearest to `given` (edit distance), or an empty string where none is near.
std::string nearest(const std::string& given, const std::vector<std::string>& known);

}  // namespace pixelwise
