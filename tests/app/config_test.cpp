#include "pixelwise/app/config.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"

namespace pixelwise {
namespace {

const std::string root = PIXELWISE_SOURCE_DIR;

std::string message_of(const std::string& text, const std::vector<std::string>& settings = {}) {
  try {
    parse_config_text(text, "test.json", settings);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

TEST(Config, SchemaIsCurrent) {
  EXPECT_EQ(read_file(root + "/configs/schema.json"), config_schema())
      << "run: build/release/bin/segtrain --print-schema > configs/schema.json";
}

TEST(Config, DocumentIsCurrent) {
  EXPECT_NE(read_file(root + "/docs/config.md").find(config_table()), std::string::npos)
      << "docs/config.md wants this table:\n"
      << config_table();
}

TEST(Config, EveryConfigOfTheTreeLoads) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/configs")) {
    if (entry.path().filename() == "schema.json") continue;
    EXPECT_NO_THROW(load_config(entry.path().string())) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 4);
}

TEST(Config, WrittenConfigReadsBackTheSame) {
  const Config config = load_config(root + "/configs/fcn_voc.json", {"train.max_steps=60", "loss.class_weights=null"});
  const std::string text = config_json(config);
  EXPECT_EQ(config_json(parse_config_text(text, "again")), text);
  EXPECT_EQ(config.train.max_steps, 60);
}

TEST(Config, ErrorsNameTheKey) {
  EXPECT_NE(message_of(R"({"model": {"nam": "segnet"}})").find("model.nam"), std::string::npos);
  EXPECT_NE(message_of(R"({"model": {"name": "fcn8s_vgg"}})").find("fcn8s_vgg16"), std::string::npos);
  EXPECT_NE(message_of("{}", {"model.in_channels=1"}).find("model.normalize.mean"), std::string::npos);
  EXPECT_NE(message_of("{}", {"augment.scale=[2, 1]"}).find("augment.scale"), std::string::npos);
  EXPECT_NE(message_of("{}", {"model.classes=5"}).find("data.class_names"), std::string::npos);
  EXPECT_NE(message_of("{}", {"eval.protocol=padded"}).find("eval.pad_to"), std::string::npos);
  EXPECT_NE(message_of("{}", {"eval.pad_to=[0, 32]"}).find("eval.pad_to"), std::string::npos);
  EXPECT_NE(message_of("{}", {"model.options.fc_channels=9000000000000000"}).find("65536"), std::string::npos);
  EXPECT_NE(message_of("{}", {"loss.class_weights=[1, 2]"}).find("loss.class_weights"), std::string::npos);
}

// Every key of the schema with its path, depth first; those of objects too.
void walk(const Fields& fields, const std::string& path,
          const std::function<void(const std::string& path, const Field&)>& visit) {
  for (const Field& field : fields) {
    visit(path + field.key, field);
    if (const Fields* inner = std::get_if<Fields>(&field.target)) walk(*inner, path + field.key + ".", visit);
  }
}

// {"a": {"b": value}} for the path a.b.
std::string nested(const std::string& path, const std::string& value) {
  const size_t dot = path.find('.');
  const std::string inner = dot == std::string::npos ? value : nested(path.substr(dot + 1), value);
  return format("{{\"{}\": {}}}", path.substr(0, dot), inner);
}

void expect_refused(const std::string& text, const std::string& path, const std::vector<std::string>& parts) {
  const std::string message = message_of(text);
  EXPECT_NE(message.find("'" + path), std::string::npos) << text << ": " << message;  // or an element of it
  for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << text << ": " << message;
}

TEST(Config, EveryKeyMisspeltNamesItsPathAndTheKeyThatIsMeant) {
  Config config;
  int64_t keys = 0;
  walk(fields_of(config), "", [&](const std::string& path, const Field& field) {
    const std::string parent = path.substr(0, path.size() - field.key.size());
    for (const std::string& wrong : {field.key + "x", "x" + field.key})
      expect_refused(nested(parent + wrong, "1"), parent + wrong, {format("did you mean '{}'", field.key)});
    ++keys;
  });
  EXPECT_GT(keys, 80);
}

TEST(Config, EveryKeyMistypedNamesItsPathWhatWasGivenAndWhatIsWanted) {
  Config config;
  walk(fields_of(config), "", [&](const std::string& path, const Field& field) {
    const bool object = std::holds_alternative<Fields>(field.target);
    const bool text = std::holds_alternative<std::string*>(field.target) ||
                      std::holds_alternative<std::optional<std::string>*>(field.target);
    const bool flag = std::holds_alternative<bool*>(field.target);
    expect_refused(nested(path, "[[true]]"), path, {"given", "wanted"});
    if (!object) expect_refused(nested(path, "{}"), path, {"given", "wanted"});
    if (!flag) expect_refused(nested(path, "true"), path, {"given true", "wanted"});
    if (!text) expect_refused(nested(path, "\"no such word\""), path, {"given \"no such word\"", "wanted"});
    if (text || flag) expect_refused(nested(path, "-1"), path, {"given -1", "wanted"});
  });
}

TEST(Config, EveryCountRefusesWhatIsNoCount) {
  Config config;
  int64_t counts = 0;
  walk(fields_of(config), "", [&](const std::string& path, const Field& field) {
    const bool whole =
        std::holds_alternative<int64_t*>(field.target) || std::holds_alternative<std::optional<int64_t>*>(field.target);
    if (!whole) return;
    ++counts;
    expect_refused(nested(path, "1.9"), path, {"given 1.9", "a whole number"});
    expect_refused(nested(path, "1e3"), path, {"a whole number"});
    expect_refused(nested(path, "18446744073709551616"), path, {"a whole number"});
    expect_refused(nested(path, "-1"), path, {"given -1", "a whole number"});
    if (path != "seed")  // which is no count
      expect_refused(nested(path, "2147483648"), path, {"given 2147483648", "a whole number"});
  });
  EXPECT_GT(counts, 15);
}

}  // namespace
}  // namespace pixelwise
