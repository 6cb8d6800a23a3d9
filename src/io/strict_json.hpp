// The library's parser, made strict. For .cpp files of this layer only.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace pixelwise {

/// Throws std::runtime_error saying where and why: syntax, UTF-8, duplicate keys, deep nesting.
nlohmann::ordered_json parse_strict(const std::string& text);

}  // namespace pixelwise
