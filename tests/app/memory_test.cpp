#include "app/memory.hpp"

#include <gtest/gtest.h>

#include "core/format.hpp"
#include "pixelwise/app/experiment.hpp"

namespace pixelwise {
namespace {

Config small_config(int64_t batch) {
  return parse_config_text(
      format(
          R"({{ "model": {{ "name": "tiny_fcn", "classes": 7 }}, "data": {{ "format": "shapes", "train": "4", "val": "1", "class_names": "shapes" }},
               "augment": {{ "crop": [96, 128] }}, "train": {{ "batch_size": {} }} }})",
          batch),
      "test");
}
constexpr Size crop{96, 128};

int64_t need(int64_t batch, Size size) { return training_memory(small_config(batch), size, {}).total(); }

std::string mib(int64_t bytes) { return format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "wanted " << part << " in: " << text;
}

TEST(Memory, CountsWhatTheTrainingAllocates) {
  const Config config = small_config(4);
  Parameters parameters;
  Graph graph = training_graph(config, crop);
  parameters.ensure(graph, 1);
  const auto arena = std::make_shared<Arena>();
  const Executor executor(std::move(graph), parameters, arena, precision_of(config));
  int64_t bytes = 0;
  for (const Parameter* parameter : parameters.all()) bytes += 2 * parameter->memory.bytes();  // and the momentum
  EXPECT_EQ(training_memory(config, crop, {}).arena, arena->bytes());
  EXPECT_EQ(training_memory(config, crop, {}).parameters, bytes);
}

TEST(Memory, CountsWhatValidationAllocates) {
  const Config config = small_config(1);
  const Size photo{700, 900};
  const TrainingMemory memory = training_memory(config, crop, photo), without = training_memory(config, crop, {});
  Parameters parameters;
  Graph graph = inference_graph(model_spec(config), {1, photo.h, photo.w, 3}, {.scores = true});
  parameters.ensure(graph, 1);
  const auto arena = std::make_shared<Arena>();
  const Executor executor(std::move(graph), parameters, arena, precision_of(config));
  EXPECT_EQ(memory.validation, arena->bytes());
  EXPECT_GT(memory.validation, memory.arena);
  EXPECT_EQ(memory.total(), without.total() - without.arena + memory.validation) << "they share the arena";
  expect_part(memory_shortage(config, crop, photo, without.total()), "or smaller photos (data.resize)");
  EXPECT_EQ(memory_shortage(config, crop, photo, memory.total()), "");
}

TEST(Memory, EnoughIsNoShortage) {
  EXPECT_EQ(memory_shortage(small_config(4), crop, {}, need(4, crop)), "");
  EXPECT_NE(memory_shortage(small_config(4), crop, {}, need(4, crop) - 1), "");
}

TEST(Memory, AShortageNamesTheLargestBatchAndCropThatFit) {
  const int64_t room = need(5, crop);
  const std::string text = memory_shortage(small_config(8), crop, {}, room);
  expect_part(text, format("needs {} of memory", mib(need(8, crop))));
  expect_part(text, mib(room) + " are available");
  expect_part(text, format("train.batch_size=5 ({})", mib(room)));
  int64_t h = 0, w = 0;
  ASSERT_EQ(std::sscanf(text.substr(text.find("augment.crop=")).c_str(), "augment.crop=[%ld,%ld]", &h, &w), 2) << text;
  EXPECT_LE(need(8, {h, w}), room);
  EXPECT_GT(need(8, {h + 16, w + 16}), room) << "a larger one would fit";
}

TEST(Memory, AShortageNamesGradientCheckpointingWhereThatIsEnough) {
  Config config = small_config(8);
  config.train.recompute = "all";
  const int64_t room = training_memory(config, crop, {}).total();
  ASSERT_LT(room, need(8, crop));
  expect_part(memory_shortage(small_config(8), crop, {}, room),
              format("What fits: train.recompute=all ({})", mib(room)));
  EXPECT_EQ(memory_shortage(config, crop, {}, room), "");
}

TEST(Memory, WhereNeitherFitsBothAreMadeSmaller) {
  const std::string text = memory_shortage(small_config(8), crop, {}, need(1, {32, 48}));
  expect_part(text, "What fits: train.batch_size=1 with augment.crop=[");
  expect_part(memory_shortage(small_config(8), crop, {}, 1000), "No smaller batch or crop fits");
}

}  // namespace
}  // namespace pixelwise
