#include "pixelwise/app/config.hpp"

#include <gtest/gtest.h>

#include <filesystem>

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

}  // namespace
}  // namespace pixelwise
