// Configurations: a JSON object against a table of fields.
#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "io/strict_json.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {

using nlohmann::ordered_json;

namespace {

[[noreturn]] void reject(const std::string& path, const ordered_json& given, const std::string& wanted) {
  std::string text = given.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  throw UsageError(format("key '{}': given {}, wanted {}", path, text, wanted));
}

std::string range_text(const Bounds& b, bool whole) {
  std::string text = whole ? "a whole number" : "a number";
  constexpr double no_limit = 9e15;  // the largest count
  const bool low = b.low > -1e300, high = b.high < (whole ? no_limit : 1e300);
  if (low && high) return text + format(" from {} to {}", b.low, b.high);
  if (low) return text + format(" of at least {}", b.low);
  if (high) return text + format(" of at most {}", b.high);
  return text;
}

// One reader and one writer for each type that a field may have.
struct Reader {
  const Field& field;
  const std::string& path;

  void read(const ordered_json& j, bool& to) const {
    if (!j.is_boolean()) reject(path, j, "true or false");
    to = j.get<bool>();
  }
  void read(const ordered_json& j, int64_t& to) const {
    const std::string wanted = range_text(field.bounds, true);
    if (!j.is_number_integer() || (j.is_number_unsigned() && j.get<uint64_t>() > INT64_MAX)) reject(path, j, wanted);
    const auto value = j.get<int64_t>();
    if (static_cast<double>(value) < field.bounds.low || static_cast<double>(value) > field.bounds.high)
      reject(path, j, wanted);
    to = value;
  }
  void read(const ordered_json& j, double& to) const {
    const std::string wanted = range_text(field.bounds, false);
    if (!j.is_number()) reject(path, j, wanted);
    const auto value = j.get<double>();
    if (!std::isfinite(value) || value < field.bounds.low || value > field.bounds.high) reject(path, j, wanted);
    to = value;
  }
  void read(const ordered_json& j, std::string& to) const {
    if (!j.is_string()) reject(path, j, "a string");
    const auto value = j.get<std::string>();
    if (!field.choices.empty() && std::find(field.choices.begin(), field.choices.end(), value) == field.choices.end())
      reject(path, j, format("one of {}", fmt::join(field.choices, ", ")));
    to = value;
  }
  template <class T>
  void read(const ordered_json& j, std::vector<T>& to) const {
    if (!j.is_array()) reject(path, j, "a list");
    std::vector<T> values;
    for (const ordered_json& element : j) {
      T value{};
      read(element, value);
      values.push_back(value);
    }
    to = values;
  }
  void read(const ordered_json& j, Size& to) const {
    if (!j.is_array() || j.size() != 2) reject(path, j, "[height, width]");
    read(j[0], to.h);
    read(j[1], to.w);
  }
  template <class T>
  void read(const ordered_json& j, std::optional<T>& to) const {
    if (j.is_null()) return to.reset();
    T value{};
    read(j, value);
    to = value;
  }
  template <class T>
  void read(const ordered_json& j, NameOr<T>& to) const {
    NameOr<T> value;
    if (j.is_string()) {
      read(j, value.name);
    } else if (!j.is_null()) {
      if (!j.is_array()) reject(path, j, "null, a name or a list");
      read(j, value.values);
    }
    to = value;
  }
};

void parse_fields(const ordered_json& object, const std::string& prefix, Fields& fields) {
  if (!object.is_object()) reject(prefix.empty() ? "(the whole file)" : prefix, object, "an object { ... }");
  for (const auto& [key, j] : object.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&key = key](const Field& f) { return f.key == key; });
    if (field == fields.end()) {
      if (prefix.empty() && (key == "$schema" || key == "comment")) continue;
      std::vector<std::string> known;
      for (const Field& f : fields) known.push_back(f.key);
      const std::string near = nearest(key, known);
      throw UsageError(format("unknown key '{}'{}; known here: {}", path,
                              near.empty() ? "" : format(": did you mean '{}'?", near), fmt::join(known, ", ")));
    }
    if (auto* group = std::get_if<Fields>(&field->target)) {
      parse_fields(j, path, *group);
      continue;
    }
    const Reader reader{*field, path};
    std::visit(
        [&, &value = j](auto& target) {
          if constexpr (std::is_pointer_v<std::decay_t<decltype(target)>>) reader.read(value, *target);
        },
        field->target);
  }
}

struct Writer {
  ordered_json write(const Size& size) const { return ordered_json::array({size.h, size.w}); }
  template <class T>
  ordered_json write(const T& value) const {
    return value;
  }
  template <class T>
  ordered_json write(const std::optional<T>& value) const {
    return value ? write(*value) : ordered_json(nullptr);
  }
  template <class T>
  ordered_json write(const NameOr<T>& value) const {
    if (!value.name.empty()) return value.name;
    return value.values.empty() ? ordered_json(nullptr) : ordered_json(value.values);
  }
};

ordered_json value_of(const Field& field) {
  if (const auto* group = std::get_if<Fields>(&field.target)) {
    ordered_json object = ordered_json::object();
    for (const Field& inner : *group) object[inner.key] = value_of(inner);
    return object;
  }
  return std::visit(
      [](const auto& target) -> ordered_json {
        if constexpr (std::is_pointer_v<std::decay_t<decltype(target)>>) return Writer{}.write(*target);
        return nullptr;
      },
      field.target);
}

// What JSON Schema calls the types.
struct Typed {
  static ordered_json number(const char* type, const Bounds& b) {
    ordered_json schema{{"type", type}};
    if (b.low > -1e300) schema["minimum"] = b.low;
    if (b.high < 1e300) schema["maximum"] = b.high;
    return schema;
  }
  static ordered_json string(const Field& f) {
    ordered_json schema{{"type", "string"}};
    if (!f.choices.empty()) schema["enum"] = f.choices;
    return schema;
  }
  static ordered_json list(ordered_json items) { return {{"type", "array"}, {"items", std::move(items)}}; }
  static ordered_json any(std::vector<ordered_json> of) { return {{"anyOf", std::move(of)}}; }
  static ordered_json null() { return {{"type", "null"}}; }

  const Field& f;
  ordered_json operator()(const bool*) const { return {{"type", "boolean"}}; }
  ordered_json operator()(const int64_t*) const { return number("integer", f.bounds); }
  ordered_json operator()(const double*) const { return number("number", f.bounds); }
  ordered_json operator()(const std::string*) const { return string(f); }
  template <class T>
  ordered_json operator()(const std::optional<T>*) const {
    return any({null(), (*this)(static_cast<const T*>(nullptr))});
  }
  template <class T>
  ordered_json operator()(const std::vector<T>*) const {
    return list((*this)(static_cast<const T*>(nullptr)));
  }
  ordered_json operator()(const Size*) const {
    ordered_json schema = list(number("integer", f.bounds));
    schema["minItems"] = schema["maxItems"] = 2;
    return schema;
  }
  template <class T>
  ordered_json operator()(const NameOr<T>*) const {
    return any({null(), string(f), list((*this)(static_cast<const T*>(nullptr)))});
  }
  ordered_json operator()(const Fields& group) const {
    ordered_json properties = ordered_json::object();
    for (const Field& inner : group) {
      properties[inner.key] = std::visit(Typed{inner}, inner.target);
      properties[inner.key]["description"] = inner.doc;
    }
    return {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  }
};

// What may be given, in words.
struct InWords {
  const Field& f;
  std::string operator()(const bool*) const { return "true or false"; }
  std::string operator()(const int64_t*) const { return range_text(f.bounds, true); }
  std::string operator()(const double*) const { return range_text(f.bounds, false); }
  std::string operator()(const std::string*) const {
    return f.choices.empty() ? "text" : format("{}", fmt::join(f.choices, ", "));
  }
  template <class T>
  std::string operator()(const std::optional<T>*) const {
    return (*this)(static_cast<const T*>(nullptr)) + ", or null";
  }
  template <class T>
  std::string operator()(const std::vector<T>*) const {
    return "a list, each " + (*this)(static_cast<const T*>(nullptr));
  }
  std::string operator()(const Size*) const { return "[height, width], each " + range_text(f.bounds, true); }
  template <class T>
  std::string operator()(const NameOr<T>*) const {
    return format("{}, a list, or null", f.choices.empty() ? "a name" : fmt::format("{}", fmt::join(f.choices, ", ")));
  }
  std::string operator()(const Fields&) const { return {}; }
};

void markdown_rows(const Fields& fields, const std::string& prefix, std::string& text) {
  for (const Field& field : fields) {
    if (const auto* group = std::get_if<Fields>(&field.target)) {
      markdown_rows(*group, prefix + field.key + ".", text);
      continue;
    }
    text += format("| `{}{}` | `{}` | {} | {} |\n", prefix, field.key, value_of(field).dump(),
                   std::visit(InWords{field}, field.target), field.doc);
  }
}

bool is_utf8(const std::string& text) {
  try {
    ordered_json(text).dump();
    return true;
  } catch (const ordered_json::type_error&) {
    return false;
  }
}

// a.b and c are the object {"a": {"b": c}}.
ordered_json nested(const std::string& path, ordered_json value) {
  size_t end = path.size();
  while (end != std::string::npos) {
    const size_t dot = end == 0 ? std::string::npos : path.rfind('.', end - 1);
    const size_t begin = dot == std::string::npos ? 0 : dot + 1;
    value = ordered_json{{path.substr(begin, end - begin), value}};
    end = dot;
  }
  return value;
}

}  // namespace

void parse_config(const std::string& text, const std::string& source, Fields& fields) {
  try {
    parse_fields(parse_strict(text), "", fields);
  } catch (const std::runtime_error& error) {  // our own UsageErrors too: they name the key, this adds the file
    throw UsageError(format("{}: {}", source, error.what()));
  }
}

void apply_setting(const std::string& setting, Fields& fields) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UsageError(format("--set {}: wanted key=value, for example --set optimizer.lr=0.01", setting));
  const std::string path = setting.substr(0, equals), text = setting.substr(equals + 1);
  if (!is_utf8(setting)) throw UsageError(format("--set {}: wanted text in UTF-8: JSON has no other", path));
  if (std::count(path.begin(), path.end(), '.') > 32)
    throw UsageError(format("--set {}: no key lies so deep", setting));
  ordered_json value;
  try {
    value = parse_strict(text);
  } catch (const std::runtime_error&) {
    value = text;
  }
  try {
    parse_fields(nested(path, value), "", fields);
  } catch (const UsageError& error) {
    try {
      parse_fields(nested(path, text), "", fields);  // digits may be meant as text: data.train=100
    } catch (const UsageError&) {
      throw UsageError(format("--set {}: {}", setting, error.what()));
    }
  }
}

std::string config_to_json(const Fields& fields) {
  ordered_json object = ordered_json::object();
  for (const Field& field : fields) object[field.key] = value_of(field);
  try {
    return object.dump(2) + "\n";
  } catch (const ordered_json::type_error& error) {  // a path of the command line
    throw UsageError(format("the configuration cannot be written: {}; give paths and names in UTF-8", error.what()));
  }
}

std::string config_schema(const Fields& fields, const std::string& title) {
  ordered_json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
  schema.update(Typed{Field{}}(fields));
  schema["properties"]["$schema"] = {{"type", "string"}};
  schema["properties"]["comment"] = {{"type", "string"}};
  return schema.dump(2) + "\n";
}

std::string config_markdown(const Fields& fields) {
  std::string text = "| key | default | values | meaning |\n|---|---|---|---|\n";
  markdown_rows(fields, "", text);
  return text;
}

}  // namespace pixelwise
