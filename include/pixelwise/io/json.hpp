// JSON at the border of the program: configurations are parsed strictly against a table of fields; other files are read
// and written as JsonValues.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "pixelwise/core/fields.hpp"

namespace pixelwise {

/// Sets the fields from a JSON object. Keys that are not given keep their values. Throws UsageError naming source and
/// key (model.options.width), what was given, what is wanted: unknown keys (with the nearest one), duplicate keys,
/// wrong types, values out of range, text that is not UTF-8, truncated, or nested deeper than 32. "$schema" and
/// "comment" are accepted at the top.
void parse_config(const std::string& text, const std::string& source, Fields& fields);
/// `--set a.b=c`: c is JSON, or else a string.
void apply_setting(const std::string& setting, Fields& fields);

std::string config_to_json(const Fields& fields);                           ///< pretty, in the order of the table
std::string config_schema(const Fields& fields, const std::string& title);  ///< JSON Schema, draft 2020-12
std::string config_markdown(const Fields& fields);                          ///< a table: key, default, range, meaning

/// Any JSON value; objects keep their order.
struct JsonValue {
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value = nullptr;

  JsonValue() = default;
  /// libstdc++ 12 destroys an alternative that was never made where std::variant's own copy runs out of memory.
  JsonValue(const JsonValue& other) {
    std::visit([this]<class T>(const T& v) { value.emplace<T>(T(v)); }, other.value);
  }
  JsonValue(JsonValue&&) noexcept = default;
  JsonValue& operator=(JsonValue other) noexcept {
    value = std::move(other.value);
    return *this;
  }
  JsonValue(std::nullptr_t) {}
  JsonValue(bool v) : value(v) {}
  JsonValue(int v) : value(int64_t{v}) {}
  JsonValue(int64_t v) : value(v) {}
  JsonValue(double v) : value(v) {}  ///< NaN and infinities are written as null
  JsonValue(const char* v) : value(std::string(v)) {}
  JsonValue(std::string v) : value(std::move(v)) {}
  JsonValue(Array v) : value(std::move(v)) {}
  JsonValue(Object v) : value(std::move(v)) {}

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  const JsonValue* find(const std::string& key) const;  ///< null where this is no object or has no such key
  const JsonValue& at(const std::string& key) const;    ///< throws DataError
  double number() const;                                ///< throws DataError where it is none
  int64_t integer() const;
  const std::string& text() const;
  const Array& array() const;
};

JsonValue parse_json(const std::string& text, const std::string& source);  ///< throws DataError
std::string dump_json(const JsonValue& value, int indent = -1);            ///< indent < 0: one line

/// A value as a cell of comma-separated values: text is quoted where it has to be, null is empty.
std::string csv_cell(const JsonValue& value);
/// Objects with the same keys as comma-separated values, a header first.
std::string dump_csv(const JsonValue::Array& rows);

}  // namespace pixelwise
