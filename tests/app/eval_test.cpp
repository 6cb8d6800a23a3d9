// segeval: predictions that any tool wrote, other tools' conventions, and the passport beside the numbers.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/version.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/io/sha256.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

// A list of three photos of three sizes, and an untrained network for them.
class Eval : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(scratch_.path("img"));
    fs::create_directories(scratch_.path("pred"));
    std::string list;
    for (const auto& [name, size] : {std::pair<std::string, Size>{"a", {12, 16}}, {"b", {20, 11}}, {"c", {9, 9}}}) {
      Image photo(size.h, size.w, 3), mask(size.h, size.w, 1);
      for (size_t i = 0; i < photo.pixels.size(); ++i) photo.pixels[i] = static_cast<uint8_t>(i * 37);
      for (size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] = static_cast<uint8_t>(i % 3);
      mask.pixels[5] = 255;
      write_png(scratch_.path(format("img/{}.png", name)), photo);
      write_palette_png(scratch_.path(format("{}_mask.png", name)), mask, voc_palette());
      list += format("img/{0}.png {0}_mask.png\n", name);
    }
    write_file(scratch_.path("list.txt"), list);
    write_file(scratch_.path("data.json"),
               format(R"({{ "model": {{ "name": "tiny_fcn", "classes": 3, "options": {{ "width": 0.5 }} }},
  "data": {{ "format": "list", "root": "{}", "train": "list.txt", "val": "list.txt",
             "class_names": ["sky", "road", "car"] }} }})",
                      scratch_.root()));
    config_ = load_config(scratch_.path("data.json"));
    Parameters parameters;
    parameters.ensure(inference_graph(model_spec(config_), {1, 64, 64, 3}), 1);
    save_model(scratch_.path("w.safetensors"), config_, parameters);
  }

  // Runs the command; the standard output lies in out_ afterwards.
  JsonValue evaluate(EvalArguments arguments) {
    arguments.json = scratch_.path("eval.json");
    testing::internal::CaptureStdout();
    EXPECT_EQ(eval_command(arguments), 0);
    out_ = testing::internal::GetCapturedStdout();
    return parse_json(read_file(arguments.json), arguments.json);
  }
  EvalArguments weights() const {
    EvalArguments arguments;
    arguments.weights = scratch_.path("w.safetensors");
    return arguments;
  }
  EvalArguments pngs(const std::string& folder) const {
    EvalArguments arguments;
    arguments.from_pngs = scratch_.path(folder);
    arguments.config = scratch_.path("data.json");
    return arguments;
  }
  // The masks as if they had been predicted, void as class 1: only that is wrong.
  void predict_truth() const {
    for (const char* name : {"a", "b", "c"}) {
      Image ids = read_mask(scratch_.path(format("{}_mask.png", name)));
      ids.pixels[5] = 1;
      write_png(scratch_.path(format("pred/{}.png", name)), ids);  // grey
    }
  }
  template <class E>
  std::string error_of(const EvalArguments& arguments) {
    try {
      eval_command(arguments);
    } catch (const E& error) {
      return error.what();
    }
    return "nothing thrown";
  }

  ScratchFolder scratch_;
  Config config_;
  std::string out_;
};

TEST_F(Eval, PredictionsOfSegpredictGiveTheNumbersOfTheWeights) {
  PredictArguments predict;
  predict.inputs = {scratch_.path("img")};
  predict.weights = scratch_.path("w.safetensors");
  predict.out = scratch_.path("pred");
  ASSERT_EQ(predict_command(predict), 0);
  const JsonValue direct = evaluate(weights());
  const JsonValue read = evaluate(pngs("pred"));
  EXPECT_EQ(dump_json(read.at("confusion_matrix")), dump_json(direct.at("confusion_matrix")));
  for (const char* key : {"mean_iou_voc", "mean_iou_present", "mean_iou_per_image", "pixel_accuracy"})
    EXPECT_EQ(read.at(key).number(), direct.at(key).number()) << key;
  EXPECT_EQ(read.at("passport").at("predictions").at("sha256").text(),
            direct.at("passport").at("predictions").at("sha256").text());
}

TEST_F(Eval, PerfectPredictionsByAnyTool) {
  predict_truth();
  const JsonValue eval = evaluate(pngs("pred"));
  EXPECT_EQ(eval.at("images").integer(), 3);
  EXPECT_EQ(eval.at("pixels").integer(), 12 * 16 + 20 * 11 + 9 * 9 - 3);
  EXPECT_EQ(eval.at("ignored_pixels").integer(), 3);
  EXPECT_EQ(eval.at("mean_iou_voc").number(), 1);
  EXPECT_EQ(eval.at("mean_iou_per_image").number(), 1);
  EXPECT_EQ(eval.find("weights"), nullptr);
  EXPECT_TRUE(eval.at("passport").at("weights").is_null());
  EXPECT_TRUE(eval.at("passport").at("precision").is_null()) << "how others predicted is not known";
  // The list's folders come before the flat layout.
  fs::create_directories(scratch_.path("pred/img"));
  write_png(scratch_.path("pred/img/c.png"), Image(9, 9, 1, 0));
  EXPECT_LT(evaluate(pngs("pred")).at("mean_iou_voc").number(), 1);
}

TEST_F(Eval, WrongPredictionsAreNamed) {
  EvalArguments without_config = pngs("pred");
  without_config.config.clear();
  EXPECT_NE(error_of<UsageError>(without_config).find("--config"), std::string::npos);
  EXPECT_NE(error_of<DataError>(pngs("none")).find("none: no such folder"), std::string::npos);
  predict_truth();
  fs::remove(scratch_.path("pred/b.png"));
  const std::string missing = error_of<DataError>(pngs("pred"));
  EXPECT_NE(missing.find("1 of 3 predictions are missing"), std::string::npos) << missing;
  EXPECT_NE(missing.find("pred/img/b.png"), std::string::npos) << missing;
  write_png(scratch_.path("pred/b.png"), Image(11, 20, 1));
  const std::string size = error_of<DataError>(pngs("pred"));
  EXPECT_NE(size.find("pred/b.png: the prediction is"), std::string::npos) << size;
  EXPECT_NE(size.find("own size"), std::string::npos) << size;
  write_png(scratch_.path("pred/b.png"), Image(20, 11, 1, 3));
  const std::string id = error_of<DataError>(pngs("pred"));
  EXPECT_NE(id.find("pred/b.png: the prediction has id 3"), std::string::npos) << id;
  write_png(scratch_.path("pred/b.png"), Image(20, 11, 3, 1));
  EXPECT_NE(error_of<DataError>(pngs("pred")).find("colours"), std::string::npos);
  fs::create_directories(scratch_.path("other"));
  fs::copy(scratch_.path("img/a.png"), scratch_.path("other/a.png"));
  write_file(scratch_.path("list.txt"), std::string("img/a.png a_mask.png\nother/a.png a_mask.png\n"));
  EXPECT_NE(error_of<DataError>(pngs("pred")).find("both img/a.png and other/a.png"), std::string::npos);
}

TEST_F(Eval, EveryConventionFromOneFolder) {
  predict_truth();
  for (const auto& [convention, name, value] : {std::tuple{"voc", "Average accuracy", 100.0},
                                                {"torchvision", "mean IoU", 100.0},
                                                {"mmseg", "mIoU", 100.0},
                                                {"paddleseg", "mIoU", 1.0}}) {
    EvalArguments arguments = pngs("pred");
    arguments.convention = convention;
    const JsonValue eval = evaluate(arguments);
    EXPECT_EQ(eval.at("report").at("convention").text(), convention);
    EXPECT_EQ(eval.at("report").at("numbers").at(name).number(), value) << convention;
    EXPECT_EQ(eval.at("passport").at("convention").text(), convention);
    EXPECT_EQ(eval.at("mean_iou_voc").number(), 1) << "Pixelwise's own numbers stay";
    EXPECT_NE(out_.find(format("convention {}: ", convention)), std::string::npos) << out_;
  }
  EvalArguments unknown = pngs("pred");
  unknown.convention = "coco";
  EXPECT_NE(error_of<UsageError>(unknown).find("paddleseg"), std::string::npos);
}

TEST_F(Eval, ThePassportSaysHowItWasMeasured) {
  EvalArguments arguments = weights();
  arguments.settings = {"eval.protocol=padded", "eval.pad_to=[32, 32]"};
  const JsonValue eval = evaluate(arguments);
  const JsonValue& passport = eval.at("passport");
  EXPECT_EQ(passport.at("convention").text(), "pixelwise");
  EXPECT_EQ(passport.at("protocol").text(), "padded");
  EXPECT_EQ(dump_json(passport.at("preprocessing").at("pad_to")), "[32,32]");
  EXPECT_EQ(passport.at("preprocessing").at("normalize").at("mean").array().size(), 3U);
  EXPECT_EQ(dump_json(passport.at("resolution")), R"({"smallest":[9,9],"largest":[20,11]})");
  EXPECT_NE(passport.at("decoder").text().find("libpng"), std::string::npos);
  EXPECT_EQ(passport.at("weights").at("sha256").text(), sha256_of_file(arguments.weights));
  Sha256 list;
  list.add("img/a.png\nimg/b.png\nimg/c.png\n");
  EXPECT_EQ(passport.at("data").at("list_sha256").text(), list.hex());
  EXPECT_EQ(passport.at("data").at("samples").integer(), 3);
  EXPECT_EQ(passport.at("version").text(), version());
  EXPECT_EQ(passport.at("precision").text(), "fp32");
  for (const char* key : {"cpu", "instruction_set", "kernels", "threads"})
    EXPECT_TRUE(passport.at("machine").find(key)) << key;
  for (const char* key : {"mean_iou_voc", "mean_iou_present", "pixel_accuracy", "iou"})
    EXPECT_FALSE(eval.at("conventions").at(key).text().empty()) << key;
  EXPECT_NE(out_.find("padded to 32x32"), std::string::npos) << out_;
}

}  // namespace
}  // namespace pixelwise
