#include "pixelwise/io/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/format.hpp"
#include "io/strict_json.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

using nlohmann::ordered_json;

namespace {

constexpr int deepest = 32;
constexpr size_t most_keys = size_t{1} << 14;  // of an object: the library looks a key up among all of them

// nlohmann's parser drops duplicate keys silently and nests without bound: this one refuses both.
class StrictBuilder {
 public:
  bool operator()(int depth, ordered_json::parse_event_t event, ordered_json& parsed) {
    using Event = ordered_json::parse_event_t;
    if (depth > deepest) throw std::runtime_error(format("nested deeper than {} levels", deepest));
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key) {
      const std::string key = parsed.get<std::string>();
      if (!keys_.back().insert(key).second) throw std::runtime_error(format("duplicate key '{}'", key));
      if (keys_.back().size() > most_keys)
        throw std::runtime_error(format("more than {} keys in an object", most_keys));
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

JsonValue from_library(const ordered_json& j) {
  switch (j.type()) {
    case ordered_json::value_t::boolean:
      return j.get<bool>();
    case ordered_json::value_t::number_integer:
      return j.get<int64_t>();
    case ordered_json::value_t::number_unsigned:
      return j.get<uint64_t>() <= INT64_MAX ? JsonValue(j.get<int64_t>()) : JsonValue(j.get<double>());
    case ordered_json::value_t::number_float:
      return j.get<double>();
    case ordered_json::value_t::string:
      return j.get<std::string>();
    case ordered_json::value_t::array: {
      JsonValue::Array array;
      for (const ordered_json& element : j) array.push_back(from_library(element));
      return array;
    }
    case ordered_json::value_t::object: {
      JsonValue::Object object;
      for (const auto& [key, element] : j.items()) object.emplace_back(key, from_library(element));
      return object;
    }
    default:
      return nullptr;
  }
}

ordered_json to_library(const JsonValue& v) {
  struct Convert {
    ordered_json operator()(std::nullptr_t) const { return nullptr; }
    ordered_json operator()(bool b) const { return b; }
    ordered_json operator()(int64_t i) const { return i; }
    ordered_json operator()(double d) const { return std::isfinite(d) ? ordered_json(d) : ordered_json(nullptr); }
    ordered_json operator()(const std::string& s) const { return s; }
    ordered_json operator()(const JsonValue::Array& array) const {
      ordered_json j = ordered_json::array();
      for (const JsonValue& element : array) j.push_back(to_library(element));
      return j;
    }
    ordered_json operator()(const JsonValue::Object& object) const {
      ordered_json j = ordered_json::object();
      for (const auto& [key, element] : object) j[key] = to_library(element);
      return j;
    }
  };
  return std::visit(Convert{}, v.value);
}

template <class T>
const T& expect(const JsonValue& v, const char* wanted) {
  if (const T* found = std::get_if<T>(&v.value)) return *found;
  throw DataError(format("JSON: wanted {}, given {}", wanted, dump_json(v).substr(0, 80)));
}

}  // namespace

ordered_json parse_strict(const std::string& text) {
  try {
    return ordered_json::parse(text, StrictBuilder{});
  } catch (const ordered_json::parse_error& error) {
    const size_t line =
        1 + static_cast<size_t>(std::count(
                text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size())), '\n'));
    throw std::runtime_error(format("line {}: not valid JSON (byte {})", line, error.byte));
  } catch (const ordered_json::exception& error) {  // a number beyond the range of a double
    throw std::runtime_error(format("not valid JSON: {}", error.what()));
  }
}

const JsonValue* JsonValue::find(const std::string& key) const {
  if (const Object* object = std::get_if<Object>(&value)) {
    for (const auto& [name, element] : *object) {
      if (name == key) return &element;
    }
  }
  return nullptr;
}

const JsonValue& JsonValue::at(const std::string& key) const {
  if (const JsonValue* found = find(key)) return *found;
  throw DataError(format("JSON: no key '{}'", key));
}

double JsonValue::number() const {
  if (const int64_t* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
  return expect<double>(*this, "a number");
}
int64_t JsonValue::integer() const { return expect<int64_t>(*this, "a whole number"); }
const std::string& JsonValue::text() const { return expect<std::string>(*this, "a string"); }
const JsonValue::Array& JsonValue::array() const { return expect<Array>(*this, "a list"); }

JsonValue parse_json(const std::string& text, const std::string& source) {
  try {
    return from_library(parse_strict(text));
  } catch (const std::runtime_error& error) {
    throw DataError(format("{}: {}", source, error.what()));
  }
}

std::string dump_json(const JsonValue& value, int indent) {
  return to_library(value).dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

std::string csv_cell(const JsonValue& value) {
  const auto* given = std::get_if<std::string>(&value.value);
  const std::string text = given ? *given : dump_json(value);
  if (!given && text == "null") return {};
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted.append("\"");
}

std::string dump_csv(const JsonValue::Array& rows) {
  std::string header, lines;
  for (const JsonValue& row : rows) {
    std::string names, cells;
    const char* comma = "";
    for (const auto& [name, value] : expect<JsonValue::Object>(row, "an object")) {
      names.append(comma).append(csv_cell(name));
      cells.append(comma).append(csv_cell(value));
      comma = ",";
    }
    header = names + '\n';
    lines += cells + '\n';
  }
  return header + lines;
}

}  // namespace pixelwise
