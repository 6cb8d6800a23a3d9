// The session: labels from a buffer of pixels, with nothing allocated for a photo once its size is planned.
#include "pixelwise/app/session.hpp"

#include <gtest/gtest.h>

#include "nn/allocations.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

using Ids = std::vector<uint8_t>;

constexpr const char* tiny_config = R"({
  "model": { "name": "tiny_fcn", "classes": 7, "options": { "width": 0.5 } },
  "data": { "format": "shapes", "train": "1", "val": "1", "class_names": "shapes" }
})";

class SessionTest : public ::testing::Test {
 protected:
  // The weights of a tiny network that was not trained: it tells pixels apart all the same.
  std::string weights(const std::vector<std::string>& settings = {}) {
    const Config config = parse_config_text(tiny_config, "tiny", settings);
    Parameters parameters;
    parameters.ensure(inference_graph(model_spec(config), {1, 64, 64, config.model.in_channels}), 3);
    save_model(scratch_.path("weights.safetensors"), config, parameters);
    return scratch_.path("weights.safetensors");
  }

  // Blocks of random colours; between the rows, `pad` random bytes.
  static Ids pixels(int64_t height, int64_t row_bytes, int64_t pad = 0, uint64_t seed_of_pad = 0) {
    Ids bytes;
    Random padding(seed_of_pad, "pad");
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t i = 0; i < row_bytes; ++i) {
        Random block(1, "block", 0, static_cast<uint64_t>(y / 9), static_cast<uint64_t>(i / 24 * 3 + i % 3));
        bytes.push_back(static_cast<uint8_t>(block.next_below(256)));
      }
      for (int64_t i = 0; i < pad; ++i) bytes.push_back(static_cast<uint8_t>(padding.next_below(256)));
    }
    return bytes;
  }
  static Ids copy(std::span<const uint8_t> labels) { return {labels.begin(), labels.end()}; }
  static size_t kinds(Ids ids) {
    std::sort(ids.begin(), ids.end());
    return static_cast<size_t>(std::unique(ids.begin(), ids.end()) - ids.begin());
  }

  ScratchFolder scratch_;
};

TEST_F(SessionTest, LabelsAreTheModelsPrediction) {
  const std::string file = weights();
  Session session(file);
  EXPECT_EQ(session.channels(), 3);
  EXPECT_EQ(session.class_names(), preset_class_names("shapes"));
  Image photo(40, 56, 3);
  photo.pixels = pixels(40, 56 * 3);

  TrainedModel model(file);
  Evaluator evaluator(evaluator_options(model.config()), model.maker());
  const Ids wanted = evaluator.predict(photo, "photo").pixels;
  EXPECT_GE(kinds(wanted), 3U);  // else the next line would say little
  EXPECT_EQ(copy(session.run(photo.pixels.data(), 40, 56, 56 * 3)), wanted);
}

TEST_F(SessionTest, RowsMayLieApart) {
  Session session(weights());
  const Ids dense = pixels(40, 56 * 3), padded = pixels(40, 56 * 3, 88, 1), other = pixels(40, 56 * 3, 88, 2);
  const Ids wanted = copy(session.run(dense.data(), 40, 56, 56 * 3));
  EXPECT_EQ(copy(session.run(padded.data(), 40, 56, 56 * 3 + 88)), wanted);
  EXPECT_EQ(copy(session.run(other.data(), 40, 56, 56 * 3 + 88)), wanted);

  // A window of a photo: its rows are as far apart as the photo's.
  const int64_t top = 9, left = 16, height = 24, width = 32;
  Ids window;
  for (int64_t y = top; y < top + height; ++y) {
    const auto row = dense.begin() + (y * 56 + left) * 3;
    window.insert(window.end(), row, row + width * 3);
  }
  const Ids of_window = copy(session.run(window.data(), height, width, width * 3));
  EXPECT_EQ(copy(session.run(dense.data() + (top * 56 + left) * 3, height, width, 56 * 3)), of_window);
}

TEST_F(SessionTest, ANewSizeIsPlannedAnew) {
  const std::string file = weights();
  Session session(file);
  for (const Size size : {Size{40, 56}, {16, 24}, {64, 72}, {33, 17}, {1, 1}, {8, 120}, {40, 56}}) {
    Session fresh(file);
    const Ids photo = pixels(size.h, size.w * 3);
    const Ids labels = copy(session.run(photo.data(), size.h, size.w, size.w * 3));
    EXPECT_EQ(labels.size(), static_cast<size_t>(size.h * size.w));
    EXPECT_EQ(labels, copy(fresh.run(photo.data(), size.h, size.w, size.w * 3)));
  }
}

TEST_F(SessionTest, APlannedSizeAllocatesNothing) {
#ifdef __SANITIZE_THREAD__
  set_thread_count(1);  // without OpenMP, starting a std::thread allocates
#endif
  Session session(weights());
  const Ids large = pixels(64, 72 * 3), small = pixels(16, 24 * 3);
  const auto both = [&] {
    session.run(large.data(), 64, 72, 72 * 3);
    session.run(small.data(), 16, 24, 24 * 3);
  };
  int64_t before = allocations();
  both();
  EXPECT_GT(allocations(), before);  // the counter counts
  before = allocations();
  both();
  both();
  EXPECT_EQ(allocations(), before);
}

TEST_F(SessionTest, GreyModelsTakeGreyPixels) {
  Session session(weights({"model.in_channels=1", "model.normalize.mean=[127.5]", "model.normalize.std=[127.5]"}));
  EXPECT_EQ(session.channels(), 1);
  const Ids grey = pixels(40, 56);
  EXPECT_EQ(session.run(grey.data(), 40, 56, 56).size(), 40U * 56U);
}

TEST_F(SessionTest, ErrorsSayWhatIsWanted) {
  Session session(weights());
  const Ids photo = pixels(4, 4 * 3);
  try {
    session.run(photo.data(), 4, 4, 4);
    FAIL() << "rows that overlap";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("12"), std::string::npos) << error.what();
  }
  EXPECT_THROW(session.run(photo.data(), 0, 4, 12), UsageError);
  EXPECT_THROW(Session(scratch_.path("none.safetensors")), DataError);
}

// A damaged configuration may name a model of terabytes.
TEST_F(SessionTest, AModelThatTheFileCannotFillIsNotAllocated) {
  const Config small = parse_config_text(tiny_config, "tiny");
  Parameters parameters;
  parameters.ensure(inference_graph(model_spec(small), {1, 64, 64, 3}), 3);
  Config large = small;
  large.model.name = "fcn32s_vgg16";
  large.model.options.width = 16, large.model.options.fc_channels = 65536;
  save_model(scratch_.path("weights.safetensors"), large, parameters);
  try {
    Session(scratch_.path("weights.safetensors"));
    FAIL() << "a model without weights";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("numbers of"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pixelwise
