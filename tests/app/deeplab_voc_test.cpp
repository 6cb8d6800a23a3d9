// Weights that others trained give the same answers here: Google's TF-Lite DeepLab v3 on MobileNetV2 of width 0.5,
// converted by tools/convert/tflite_deeplab.py, against logits and a confusion matrix that PyTorch gave for it (which
// agrees with two other implementations). Needs PIXELWISE_TEST_DATA and a Python (PIXELWISE_PYTHON, or python3) with
// tflite, numpy and safetensors; skipped without.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/train/weights.hpp"
#include "support/data.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

std::string python() {
  const char* given = std::getenv("PIXELWISE_PYTHON");
  return given ? given : "python3";
}

class SlowDeepLabVoc : public testing::Test {
 protected:
  void SetUp() override {
    if (test_data().empty()) GTEST_SKIP() << "PIXELWISE_TEST_DATA is not set";
    if (std::system((python() + " -c 'import numpy, safetensors, tflite' 2>/dev/null").c_str()) != 0)
      GTEST_SKIP() << python() << " has not got numpy, safetensors and tflite; PIXELWISE_PYTHON names another";
    const std::string command = format("{} {}/tools/convert/tflite_deeplab.py {} {} >/dev/null", python(),
                                       PIXELWISE_SOURCE_DIR, original_ + "deeplabv3_257_mv_gpu.tflite", weights_);
    ASSERT_EQ(std::system(command.c_str()), 0);
  }

  const std::string original_ = test_data() + "/weights/deeplabv3_mnv2_dm05_voc/";
  ScratchFolder scratch_;
  const std::string weights_ = scratch_.path("deeplab.safetensors");
};

// The float32 values of a .npy file in C order.
std::vector<float> read_npy(const std::string& path) {
  const std::string text = read_file(path);
  const size_t header =
      10 + static_cast<uint8_t>(text.at(8)) + 256 * static_cast<size_t>(static_cast<uint8_t>(text.at(9)));
  EXPECT_NE(text.find("'<f4', 'fortran_order': False"), std::string::npos) << path;
  std::vector<float> values((text.size() - header) / sizeof(float));
  std::memcpy(values.data(), text.data() + header, values.size() * sizeof(float));
  return values;
}

// Channels first in the file.
void copy_image(const std::vector<float>& file, const View& image) {
  ASSERT_EQ(static_cast<int64_t>(file.size()), image.shape.count());
  const Shape& s = image.shape;
  for (int64_t i = 0; i < s.h * s.w; ++i) {
    for (int64_t c = 0; c < s.c; ++c)
      image.at<float>(0, i / s.w, i % s.w)[c] = file[static_cast<size_t>(c * s.h * s.w + i)];
  }
}

double largest_difference(const View& map, const std::vector<float>& file) {
  const Shape& s = map.shape;
  EXPECT_EQ(static_cast<int64_t>(file.size()), s.count()) << to_string(s);
  double largest = 0;
  for (int64_t i = 0; i < s.h * s.w; ++i) {
    for (int64_t c = 0; c < s.c; ++c) {
      const float wanted = file[static_cast<size_t>(c * s.h * s.w + i)];
      largest = std::max(largest, std::abs(double{map.at<float>(0, i / s.w, i % s.w)[c]} - wanted));
    }
  }
  return largest;
}

TEST_F(SlowDeepLabVoc, LogitsAreTheReferences) {
  const TrainedModel model(weights_);
  for (const auto& [stride, size] : {std::pair{8, 33}, {16, 17}}) {
    ModelSpec spec = model_spec(model.config());
    EXPECT_EQ(spec.options.output_stride, 16);
    spec.options.output_stride = stride;
    Graph graph = inference_graph(spec, {1, 257, 257, 3});
    const ValueId logits = graph.find("classifier.1");
    ASSERT_NE(logits, no_value);
    graph.at(logits).external = true;
    Parameters parameters;
    parameters.ensure(graph, 1);
    load_weights(weights_, parameters, LoadMode::all);
    Executor executor(std::move(graph), parameters, std::make_shared<Arena>());
    for (const char* photo : {"2007_000129", "2007_000175", "2007_000464"}) {
      const std::string ref = original_ + "ref/" + photo;
      copy_image(read_npy(ref + "_input.npy"), executor.view("image"));
      executor.run();
      const double error = largest_difference(executor.view("classifier.1"),
                                              read_npy(format("{}_logits{}_os{}.npy", ref, size, stride)));
      EXPECT_LT(error, 1e-3) << photo << " at output stride " << stride;
      RecordProperty(format("error_{}_{}", photo, stride), format("{:.3g}", error));
    }
  }
}

TEST_F(SlowDeepLabVoc, SegevalReproducesTheReference) {
  if (image_decoders().find("turbo") == std::string::npos) GTEST_SKIP() << "the reference was decoded by libjpeg-turbo";
  EvalArguments arguments;
  arguments.weights = weights_;
  arguments.data_root = test_data() + "/VOCdevkit";
  arguments.json = scratch_.path("eval.json");
  ASSERT_EQ(eval_command(arguments), 0);
  const JsonValue ours = parse_json(read_file(arguments.json), arguments.json);
  const JsonValue reference = parse_json(read_file(original_ + "reference_eval.json"), "reference_eval.json");
  EXPECT_EQ(ours.at("images").integer(), reference.at("images").integer());
  EXPECT_NEAR(ours.at("pixel_accuracy").number(), reference.at("pixel_accuracy").number(), 1e-4);
  EXPECT_NEAR(ours.at("mean_iou_present").number(), reference.at("miou_present").number(), 1e-3);
  int64_t pixels = 0, elsewhere = 0;
  for (size_t truth = 0; truth < 21; ++truth) {
    const JsonValue &iou = ours.at("iou").array()[truth], &wanted = reference.at("iou").array()[truth];
    const auto& row = ours.at("confusion_matrix").array()[truth].array();
    const auto& wanted_row = reference.at("confusion").array()[truth].array();
    if (!wanted.is_null()) {
      EXPECT_NEAR(iou.number(), wanted.number(), 1e-3) << "class " << truth;
    }
    for (size_t c = 0; c < 21; ++c) {
      pixels += wanted_row[c].integer();
      elsewhere += std::abs(row[c].integer() - wanted_row[c].integer());
    }
  }
  EXPECT_EQ(ours.at("pixels").integer(), pixels);
  EXPECT_LE(static_cast<double>(elsewhere), 0.0005 * static_cast<double>(pixels));  // counts each such pixel twice
  RecordProperty("pixels_elsewhere", format("{}", elsewhere / 2));
}

}  // namespace
}  // namespace pixelwise
