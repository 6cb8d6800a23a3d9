// Configurations: what is accepted, and that every mistake is refused with the key, what was given and what is wanted.
#include <gtest/gtest.h>

#include "pixelwise/core/error.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {
namespace {

struct Example {
  bool flip = true;
  int64_t epochs = 30;
  double lr = 0.1;
  std::string name = "sgd";
  std::optional<int64_t> max_steps;
  std::optional<double> clip;
  std::optional<std::string> file;
  std::vector<int64_t> rates{6, 12, 18};
  std::vector<double> scale{0.5, 2};
  std::vector<std::string> lists{"a"};
  Size crop{320, 480};
  NameOr<double> weights;
  NameOr<std::string> classes{"voc", {}};
  double width = 1;

  Fields fields() {
    return {
        {"flip", &flip, "mirror half of the images"},
        {"epochs", &epochs, "passes over the data", {1, 1e6}},
        {"name", &name, "the rule", {}, {"sgd", "adam"}},
        {"max_steps", &max_steps, "stop early", {1, 1e9}},
        {"clip", &clip, "of the gradient's norm", {0, 1e9}},
        {"file", &file, "weights"},
        {"rates", &rates, "atrous rates", {1, 100}},
        {"scale", &scale, "zoom", {0.1, 10}},
        {"lists", &lists, "names"},
        {"crop", &crop, "of training images", {1, 65536}},
        {"class_weights", &weights, "one a class", {0, 1e9}, {"median"}},
        {"classes", &classes, "their names"},
        {"model", Fields{{"options", Fields{{"width", &width, "of all layers", {0.01, 8}}}, "more"}}, "the network"},
        {"lr", &lr, "learning rate", {0, 1e6}}};
  }
};

// The message that parsing ends with, or an empty string.
std::string complaint(const std::string& text) {
  Example e;
  Fields fields = e.fields();
  try {
    parse_config(text, "run.json", fields);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

void expect_complaint(const std::string& text, std::initializer_list<const char*> parts) {
  const std::string message = complaint(text);
  EXPECT_FALSE(message.empty()) << text << " was accepted";
  EXPECT_NE(message.find("run.json"), std::string::npos) << message;
  for (const char* part : parts) EXPECT_NE(message.find(part), std::string::npos) << part << " is not in: " << message;
}

TEST(Config, SetsEveryKindOfField) {
  Example e;
  Fields fields = e.fields();
  parse_config(R"({"$schema": "schema.json", "comment": "why", "flip": false, "epochs": 2, "name": "adam",
                   "max_steps": 7, "clip": 1.5, "file": "w.safetensors", "rates": [1, 2], "scale": [1, 1.5],
                   "lists": [], "crop": [33, 65], "class_weights": [1, 2.5], "classes": ["sky", "tree"], "lr": 1,
                   "model": {"options": {"width": 0.25}}})",
               "run.json", fields);
  EXPECT_FALSE(e.flip);
  EXPECT_EQ(e.epochs, 2);
  EXPECT_EQ(e.name, "adam");
  EXPECT_EQ(e.max_steps, 7);
  EXPECT_EQ(e.clip, 1.5);
  EXPECT_EQ(e.file, "w.safetensors");
  EXPECT_EQ(e.rates, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(e.scale, (std::vector<double>{1, 1.5}));
  EXPECT_TRUE(e.lists.empty());
  EXPECT_EQ(e.crop, (Size{33, 65}));
  EXPECT_EQ(e.weights, (NameOr<double>{"", {1, 2.5}}));
  EXPECT_EQ(e.classes, (NameOr<std::string>{"", {"sky", "tree"}}));
  EXPECT_EQ(e.lr, 1);
  EXPECT_EQ(e.width, 0.25);
}

TEST(Config, KeysNotGivenKeepTheirValuesAndNullEmptiesOptionals) {
  Example e;
  e.clip = 2;
  Fields fields = e.fields();
  parse_config(R"({"clip": null, "class_weights": null})", "run.json", fields);
  EXPECT_FALSE(e.clip);
  EXPECT_EQ(e.epochs, 30);
  EXPECT_EQ(e.width, 1);
}

TEST(Config, WhatIsWrittenIsReadBackTheSame) {
  Example a;
  a.lr = 0.1 + 0.2;
  a.max_steps = 123456789;
  a.weights.name = "median";
  a.file = "caf\xc3\xa9 \"x\".safetensors";
  const std::string text = config_to_json(a.fields());
  Example b;
  Fields fields = b.fields();
  parse_config(text, "run.json", fields);
  EXPECT_EQ(config_to_json(fields), text);
  EXPECT_EQ(b.lr, a.lr);
  EXPECT_EQ(b.file, a.file);
  EXPECT_LT(text.find("\"flip\""), text.find("\"epochs\""));
  EXPECT_LT(text.find("\"model\""), text.find("\"lr\""));
}

TEST(Config, UnknownKeysNameTheNearest) {
  expect_complaint(R"({"epoch": 3})", {"'epoch'", "did you mean 'epochs'"});
  expect_complaint(R"({"model": {"options": {"widht": 1}}})", {"'model.options.widht'", "did you mean 'width'"});
  expect_complaint(R"({"model": {"comment": "only at the top"}})", {"'model.comment'"});
  for (const Field& field : Example{}.fields())
    expect_complaint("{\"" + field.key + "x\": 1}", {field.key.c_str(), "did you mean"});
}

TEST(Config, WrongTypesAndRangesAreRefused) {
  expect_complaint(R"({"epochs": -1})", {"'epochs'", "given -1", "a whole number from 1 to"});
  expect_complaint(R"({"epochs": 1.9})", {"'epochs'", "given 1.9", "a whole number"});
  expect_complaint(R"({"epochs": 1.0})", {"a whole number"});
  expect_complaint(R"({"epochs": 2147483648})", {"given 2147483648"});
  expect_complaint(R"({"epochs": 18446744073709551615})", {"given 18446744073709551615"});
  expect_complaint(R"({"epochs": 123456789012345678901234567890})", {"'epochs'"});
  expect_complaint(R"({"epochs": "3"})", {"given \"3\""});
  expect_complaint(R"({"epochs": null})", {"given null"});
  expect_complaint(R"({"epochs": true})", {"given true"});
  expect_complaint(R"({"flip": 1})", {"true or false"});
  expect_complaint(R"({"lr": -0.1})", {"'lr'", "a number from 0"});
  expect_complaint(R"({"lr": 1e999})", {});
  expect_complaint(R"({"lr": [1]})", {"'lr'"});
  expect_complaint(R"({"name": "adm"})", {"'name'", "one of sgd, adam"});
  expect_complaint(R"({"rates": 6})", {"a list"});
  expect_complaint(R"({"rates": [6, 0]})", {"'rates", "given 0"});
  expect_complaint(R"({"crop": [3]})", {"[height, width]"});
  expect_complaint(R"({"crop": [3, -3]})", {"given -3"});
  expect_complaint(R"({"class_weights": [1, -1]})", {"given -1"});
  expect_complaint(R"({"class_weights": "mean"})", {"median"});
  expect_complaint(R"({"model": 3})", {"'model'", "an object"});
  expect_complaint(R"([1])", {"an object"});
}

TEST(Config, TextThatIsNotJsonIsRefused) {
  expect_complaint("", {});
  expect_complaint("{\"lr\": 1,\n\"epochs\": 3", {"line 2"});
  expect_complaint(R"({"lr": 1, "lr": 2})", {"duplicate key 'lr'"});
  expect_complaint(R"({"model": {"options": {"width": 1, "width": 1}}})", {"duplicate key 'width'"});
  expect_complaint("{\"file\": \"\xff\xfe\"}", {});
  expect_complaint(R"({"lr": NaN})", {});
  expect_complaint(R"({"lr": 1} x)", {});
  expect_complaint("{\"lists\": " + std::string(100000, '[') + std::string(100000, ']') + "}", {"nested deeper"});
}

TEST(Config, NoPrefixOfAFileAndNoChangedByteCrashes) {
  const std::string text = config_to_json(Example{}.fields());
  for (size_t length = 0; length + 2 < text.size(); ++length)
    EXPECT_FALSE(complaint(text.substr(0, length)).empty()) << length;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'\0', '"', '{', ']', '9', '\xff'}) {
      std::string changed = text;
      changed[i] = c;
      complaint(changed);  // accepted or refused with a UsageError: anything else fails the test
    }
  }
}

TEST(Config, SettingsAreJsonOrElseStrings) {
  Example e;
  Fields fields = e.fields();
  apply_setting("lr=0.5", fields);
  apply_setting("model.options.width=2", fields);
  apply_setting("name=adam", fields);
  apply_setting("file=runs/a=b.safetensors", fields);
  apply_setting("crop=[65, 97]", fields);
  EXPECT_EQ(e.lr, 0.5);
  EXPECT_EQ(e.width, 2);
  EXPECT_EQ(e.name, "adam");
  EXPECT_EQ(e.file, "runs/a=b.safetensors");
  EXPECT_EQ(e.crop, (Size{65, 97}));
  apply_setting("file=16", fields);  // a number only where one is wanted
  EXPECT_EQ(e.file, "16");
  apply_setting("file=null", fields);
  EXPECT_FALSE(e.file);
}

TEST(Config, BadSettingsNameThemselves) {
  Example e;
  Fields fields = e.fields();
  for (const char* bad :
       {"lr", "=1", "lr=", "lr=fast", "model.widht=1", "model=3", "model..width=1", ".lr=1", "lr.=1", "epochs=1e999"}) {
    try {
      apply_setting(bad, fields);
      ADD_FAILURE() << bad << " was accepted";
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(bad), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(apply_setting(std::string(1 << 20, '.') + "=1", fields), UsageError);
  EXPECT_THROW(apply_setting("file=caf\xe9.safetensors", fields), UsageError);  // Latin-1
  e.file = "caf\xe9.safetensors";
  EXPECT_THROW(config_to_json(fields), UsageError);
}

TEST(Config, SchemaAndDocumentationComeFromTheSameTable) {
  Example e;
  const JsonValue schema = parse_json(config_schema(e.fields(), "Example"), "schema");
  const JsonValue& properties = schema.at("properties");
  EXPECT_EQ(schema.at("title").text(), "Example");
  EXPECT_EQ(properties.at("epochs").at("type").text(), "integer");
  EXPECT_EQ(properties.at("epochs").at("minimum").number(), 1);
  EXPECT_EQ(properties.at("epochs").at("description").text(), "passes over the data");
  EXPECT_EQ(properties.at("name").at("enum").array().size(), 2u);
  EXPECT_EQ(properties.at("model").at("properties").at("options").at("properties").at("width").at("maximum").number(),
            8);
  EXPECT_NE(properties.find("$schema"), nullptr);

  const std::string table = config_markdown(e.fields());
  EXPECT_NE(table.find("| `model.options.width` | `1.0` | a number from 0.01 to 8 | of all layers |"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("| `name` | `\"sgd\"` | sgd, adam | the rule |"), std::string::npos);
  EXPECT_NE(table.find("| a whole number from 1 to 1000000000, or null | stop early |"), std::string::npos) << table;
  EXPECT_NE(table.find("| a list, each a number from 0.1 to 10 | zoom |"), std::string::npos) << table;
  EXPECT_NE(table.find("| [height, width], each a whole number from 1 to 65536 |"), std::string::npos) << table;
  EXPECT_NE(table.find("| median, a list, or null | one a class |"), std::string::npos) << table;
}

}  // namespace
}  // namespace pixelwise
