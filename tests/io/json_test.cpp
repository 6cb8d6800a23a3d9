#include "pixelwise/io/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

TEST(Json, DoublesComeBackBitForBit) {
  Random random(1, "json");
  for (int i = 0; i < 2000; ++i) {
    const double value = std::ldexp(random.next_uniform(-1, 1), static_cast<int>(random.next_below(2000)) - 1000);
    EXPECT_EQ(parse_json(dump_json(value), "test").number(), value);
  }
  EXPECT_EQ(dump_json(0.1), "0.1");
}

TEST(Json, NotANumberIsNull) {
  EXPECT_EQ(dump_json(std::nan("")), "null");
  EXPECT_EQ(dump_json(std::numeric_limits<double>::infinity()), "null");
}

TEST(Json, ObjectsKeepTheirOrderOnOneLine) {
  const JsonValue value = JsonValue::Object{
      {"step", 3}, {"loss", 0.5}, {"a", JsonValue::Array{1, "two", nullptr, true}}, {"big", int64_t{1} << 62}};
  const std::string text = dump_json(value);
  EXPECT_EQ(text, R"({"step":3,"loss":0.5,"a":[1,"two",null,true],"big":4611686018427387904})");
  EXPECT_EQ(dump_json(parse_json(text, "test")), text);
}

TEST(Json, ObjectsAsCommaSeparatedValues) {
  const JsonValue::Array rows{JsonValue::Object{{"name", "a"}, {"ms", 0.5}, {"n", nullptr}},
                              JsonValue::Object{{"name", "b, \"c\""}, {"ms", std::nan("")}, {"n", 3}}};
  EXPECT_EQ(dump_csv(rows), "name,ms,n\na,0.5,\n\"b, \"\"c\"\"\",,3\n");
  EXPECT_EQ(dump_csv({}), "");
}

TEST(Json, ReadersSayWhatIsMissing) {
  const JsonValue value = parse_json(R"({"a": 1, "b": "x", "c": [1.5]})", "test");
  EXPECT_EQ(value.at("a").integer(), 1);
  EXPECT_EQ(value.at("a").number(), 1);
  EXPECT_EQ(value.at("b").text(), "x");
  EXPECT_EQ(value.at("c").array()[0].number(), 1.5);
  EXPECT_EQ(value.find("d"), nullptr);
  EXPECT_THROW(value.at("d"), DataError);
  EXPECT_THROW(value.at("b").number(), DataError);
  EXPECT_THROW(value.at("c").array()[0].integer(), DataError);
  EXPECT_EQ(value.at("a").find("x"), nullptr);
}

TEST(Json, BadTextIsADataError) {
  for (const char* bad : {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "1e999", "nul", "\"\xc3\"", "[1] 2", "{1: 2}"})
    EXPECT_THROW(parse_json(bad, "test"), DataError) << bad;
  EXPECT_THROW(parse_json(std::string(1 << 20, '['), "test"), DataError);
}

TEST(Json, ObjectsHaveSoManyKeysThatReadingThemIsQuick) {
  const auto object = [](int keys) {
    std::string text = "{";
    for (int i = 0; i < keys; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
    return text + "}";
  };
  EXPECT_EQ(std::get<JsonValue::Object>(parse_json(object(4000), "test").value).size(), 4000u);
  EXPECT_THROW(parse_json(object(100'000), "test"), DataError);
}

}  // namespace
}  // namespace pixelwise
