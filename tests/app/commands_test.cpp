// The tools as a user runs them: exit codes, files, and that a training that was stopped is the same training.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>

#include "pixelwise/data/dataset.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/image.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/models/registry.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

constexpr const char* tiny_config = R"({
  "model": { "name": "tiny_fcn", "classes": 7, "options": { "width": 0.5 } },
  "data": { "format": "shapes", "train": "12", "val": "3", "size": [48, 40], "class_names": "shapes" },
  "augment": { "crop": [32, 32] },
  "optimizer": { "lr": 0.05 },
  "train": { "batch_size": 4, "max_steps": 6, "checkpoint_every_steps": 2 }
})";

const std::string quickstart_config = std::string(PIXELWISE_SOURCE_DIR) + "/configs/quickstart.json";

class Commands : public ::testing::Test {
 protected:
  void SetUp() override { write_file(scratch_.path("tiny.json"), std::string(tiny_config)); }

  // The exit code; standard error lies in the file `stderr` afterwards, standard output in `stdout`.
  int run(const std::string& command) const {
    const std::string line = "cd " + scratch_.root() + " && " + PIXELWISE_BIN_DIR + "/" + command + " >stdout 2>stderr";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string text(const std::string& name) const { return read_file(scratch_.path(name)); }

  // metrics.jsonl without times.
  std::vector<std::string> metrics(const std::string& run_folder) const {
    std::vector<std::string> lines;
    const std::string all = text(run_folder + "/metrics.jsonl");
    for (size_t begin = 0, end; (end = all.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string line = all.substr(begin, end - begin);
      lines.push_back(line.substr(0, line.find(",\"ms\"")));
    }
    return lines;
  }

  ScratchFolder scratch_;
};

TEST_F(Commands, TrainingMakesARunFolder) {
  ASSERT_EQ(run("segtrain --config tiny.json --run r"), 0) << text("stderr");
  for (const char* name : {"config.json", "metrics.jsonl", "best.safetensors", "weights.safetensors", "samples.png",
                           "checkpoints/step-00000006.safetensors", "previews/step-6.png", "curves.svg"})
    EXPECT_TRUE(fs::exists(scratch_.path(std::string("r/") + name))) << name;
  for (const char* part : {" ms a step: waiting for data ", "%, logging ", " MiB and ", " s a checkpoint"})
    EXPECT_NE(text("stderr").find(part), std::string::npos) << part << text("stderr");
  const std::string lines = text("r/metrics.jsonl");
  const JsonValue first = parse_json(lines.substr(0, lines.find('\n')), "metrics.jsonl");
  EXPECT_GT(first.at("data_ms").number(), 0);
  EXPECT_LT(first.at("data_ms").number(), first.at("ms").number());
  EXPECT_EQ(run("segtrain --config tiny.json --run r"), 2);  // it holds a run already
  EXPECT_NE(text("stderr").find("--resume"), std::string::npos);
  EXPECT_EQ(run("segtrain --config tiny.json --run r --resume --set seed=2"), 2);
  EXPECT_NE(text("stderr").find("another config"), std::string::npos);
}

TEST_F(Commands, AResumedTrainingIsTheSameTraining) {
  ASSERT_EQ(run("segtrain --config tiny.json --run whole"), 0) << text("stderr");
  fs::create_directories(scratch_.path("cut"));
  fs::copy(scratch_.path("whole/config.json"), scratch_.path("cut/config.json"));
  fs::create_directories(scratch_.path("cut/checkpoints"));
  fs::copy(scratch_.path("whole/metrics.jsonl"), scratch_.path("cut/metrics.jsonl"));
  fs::copy(scratch_.path("whole/best.safetensors"), scratch_.path("cut/best.safetensors"));
  const char* half = "checkpoints/step-00000002.safetensors";
  fs::copy(scratch_.path(std::string("whole/") + half), scratch_.path(std::string("cut/") + half));
  ASSERT_EQ(run("segtrain --resume --run cut"), 0) << text("stderr");
  EXPECT_EQ(metrics("cut"), metrics("whole"));
  for (const char* name : {"weights.safetensors", "best.safetensors", "checkpoints/step-00000006.safetensors"})
    EXPECT_TRUE(text(std::string("cut/") + name) == text(std::string("whole/") + name)) << name;
}

// Keys that came since have their defaults; one that says something else is another run.
TEST_F(Commands, ARunOfAnEarlierVersionIsResumed) {
  ASSERT_EQ(run("segtrain --config tiny.json --run old --set train.max_steps=2"), 0) << text("stderr");
  std::string config = text("old/config.json");
  const size_t key = config.find("\"recompute\"");
  ASSERT_NE(key, std::string::npos);
  const size_t begin = config.rfind('\n', key), end = config.find('\n', key);
  config.erase(begin, end - begin);
  if (config[begin - 1] == ',' && config.find_first_not_of(" \n", begin) == config.find('}', begin))
    config.erase(begin - 1, 1);  // it was the last of its object
  std::ofstream(scratch_.path("old/config.json")) << config;
  ASSERT_EQ(run("segtrain --resume --run old"), 0) << text("stderr");
  EXPECT_EQ(text("old/config.json"), config);
  EXPECT_EQ(run("segtrain --resume --run old --config tiny.json --set train.recompute=all"), 2);
}

// The same steps with and without gradient checkpointing, also where a run goes on with the other.
TEST_F(Commands, RecomputingChangesNoBits) {
  ASSERT_EQ(run("segtrain --config tiny.json --run plain"), 0) << text("stderr");
  ASSERT_EQ(run("segtrain --config tiny.json --run again --set train.recompute=all"), 0) << text("stderr");
  EXPECT_EQ(metrics("again"), metrics("plain"));
  fs::create_directories(scratch_.path("mixed/checkpoints"));
  const char* half = "checkpoints/step-00000002.safetensors";
  fs::copy(scratch_.path(std::string("plain/") + half), scratch_.path(std::string("mixed/") + half));
  fs::copy(scratch_.path("plain/metrics.jsonl"), scratch_.path("mixed/metrics.jsonl"));
  fs::copy(scratch_.path("again/config.json"), scratch_.path("mixed/config.json"));
  ASSERT_EQ(run("segtrain --resume --run mixed"), 0) << text("stderr");
  EXPECT_EQ(metrics("mixed"), metrics("plain"));
  const auto weights = [&](const std::string& folder) {
    const std::string all = text(folder + "/weights.safetensors");
    uint64_t header = 0;  // its length; it holds the configuration
    std::memcpy(&header, all.data(), sizeof header);
    return all.substr(sizeof header + header);
  };
  EXPECT_TRUE(weights("mixed") == weights("plain"));
  EXPECT_TRUE(weights("again") == weights("plain"));
}

TEST_F(Commands, TheNumberOfThreadsDoesNotChangeTheBits) {
  for (const char* threads : {"1", "2", "3"}) {
    const std::string name = std::string("t") + threads;
    setenv("PIXELWISE_THREADS", threads, 1);
    ASSERT_EQ(run("segtrain --config tiny.json --run " + name), 0) << text("stderr");
    EXPECT_TRUE(text(name + "/weights.safetensors") == text("t1/weights.safetensors")) << threads;
  }
  unsetenv("PIXELWISE_THREADS");
}

TEST_F(Commands, ASignalSavesAndStops) {
  const std::string config = "tiny.json --run r --set train.max_steps=100000 --set train.validate_every_epochs=0";
  const std::string train = std::string(PIXELWISE_BIN_DIR) + "/segtrain --config " + config;
  const std::string line = "cd " + scratch_.root() + " && (" + train + " 2>stderr & p=$!; " +
                           "until [ -s r/metrics.jsonl ]; do sleep 0.05; done; kill -INT $p; wait $p)";
  const std::string script = "bash -mc '" + line + "'";  // -m: jobs of a script would ignore SIGINT otherwise
  const int status = std::system(script.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 130) << text("stderr");
  EXPECT_NE(text("stderr").find("--resume"), std::string::npos);
  EXPECT_FALSE(fs::is_empty(scratch_.path("r/checkpoints")));
}

TEST_F(Commands, ErrorsHaveTheirExitCodes) {
  EXPECT_EQ(run("segtrain --config tiny.json --set optimizer.lrr=1"), 2);
  EXPECT_NE(text("stderr").find("optimizer.lrr"), std::string::npos);
  EXPECT_EQ(run("segtrain --config none.json"), 2);
  EXPECT_EQ(run("segtrain --no-such-flag"), 2);
  EXPECT_EQ(run("segtrain --config tiny.json --run r --set data.format=voc --data-root nowhere"), 3);
  EXPECT_FALSE(fs::exists(scratch_.path("r")));
  EXPECT_EQ(run("segtrain --config tiny.json --run r --set optimizer.lr=1e30"), 5);
  EXPECT_EQ(run("segeval --weights tiny.json"), 3);
  EXPECT_EQ(run("segeval"), 2);
}

TEST_F(Commands, APhotoThatTheEvaluationCannotHoldIsNamedBeforeTheFirstStep) {
  EXPECT_EQ(run("segtrain --config tiny.json --run r --set eval.protocol=padded --set eval.pad_to=[64,32]"), 2);
  EXPECT_NE(text("stderr").find("'eval.pad_to': given 64x32, wanted at least the largest photo's size, 48x40"),
            std::string::npos)
      << text("stderr");
  EXPECT_FALSE(fs::exists(scratch_.path("r")));
  EXPECT_EQ(run("segtrain --config tiny.json --run r --set eval.protocol=padded --set eval.pad_to=[64,48]"), 0);
}

TEST_F(Commands, OutputThatCannotBeWrittenIsAnError) {
  EXPECT_EQ(run("segtrain --print-schema 2>stderr >/dev/full #"), 4);  // more than a buffer
  EXPECT_NE(text("stderr").find("cannot write to standard output"), std::string::npos) << text("stderr");
  EXPECT_EQ(run("segdescribe --list 2>stderr >/dev/full #"), 4);
}

TEST_F(Commands, ModelsThatCannotBeAreNamed) {
  const std::string deeplab = "segdescribe deeplabv3plus_mobilenet_v2 --size 65x49 --set model.options.";
  EXPECT_EQ(run(deeplab + "output_stride=12"), 2);
  EXPECT_NE(text("stderr").find("model.options.output_stride is 12; wanted 8, 16 or 32"), std::string::npos);
  EXPECT_EQ(run(deeplab + "output_stride=4"), 2);
  EXPECT_NE(text("stderr").find("model.options.output_stride"), std::string::npos);
  EXPECT_EQ(run(deeplab + "rates=[1,2,3]"), 0);
  EXPECT_EQ(text("stderr"), "");
  EXPECT_EQ(run(deeplab + "rates=[1,2,18]"), 0);
  EXPECT_NE(text("stderr").find("warning: node 'classifier.aspp.convs.3.0': its rate 18"), std::string::npos);
  const std::string train =
      "segtrain --config tiny.json --run warned --set train.max_steps=1 --set model.options.width=0.1 ";
  EXPECT_EQ(run(train + "--set model.name=deeplabv3plus_resnet10 --set model.options.rates=[1,2]"), 0);
  EXPECT_NE(text("stderr").find("warning: node 'classifier.aspp.convs.2.0': its rate 2 lies wholly outside its map of "
                                "2x2"),
            std::string::npos)
      << text("stderr");
  EXPECT_EQ(run("segdescribe segnet --size 1x1 --batch 1 --mode train"), 2);  // training on one value
  EXPECT_NE(text("stderr").find("node 'backbone.features.1'"), std::string::npos) << text("stderr");
  const std::string segnet =
      "segtrain --config tiny.json --run r --set model.name=segnet --set model.options.width=0.1";
  EXPECT_EQ(run(segnet + " --set augment.crop=[1,1] --set train.batch_size=1"), 2);
  EXPECT_NE(text("stderr").find("node 'backbone.features.1'"), std::string::npos) << text("stderr");
  EXPECT_FALSE(fs::exists(scratch_.path("r"))) << "nothing was begun";
}

// What goes wrong silently is said by a training of 210 steps; a healthy one, as long, is told nothing.
TEST_F(Commands, ATrainingThatLearnsNothingIsWarned) {
  const std::string train =
      "segtrain --config tiny.json --set train.max_steps=210 --set train.validate_every_epochs=0 --run ";
  const auto expect_said = [&](const char* part) {
    EXPECT_NE(text("stderr").find(part), std::string::npos) << part << " is not in\n" << text("stderr");
  };
  ASSERT_EQ(run(train + "stuck --set optimizer.lr=0 --set train.batch_size=1 --set model.name=fcn8s_vgg16 "
                        "--set model.options.width=0.03 --set model.options.fc_channels=4"),
            0)
      << text("stderr");
  expect_said("no better than guessing (ln(7) = 1.9459)");
  ASSERT_EQ(run(train + "collapsed --set loss.class_weights=[1,0,0,0,0,0,0]"), 0) << text("stderr");
  expect_said("warning: 100.00% of the validation's pixels are predicted as class 0 (background)");
  ASSERT_EQ(run(train + "healthy"), 0) << text("stderr");
  EXPECT_EQ(text("stderr").find("warning"), std::string::npos) << text("stderr");
}

TEST_F(Commands, WeightsThatDoNotFitAreNamed) {
  ASSERT_EQ(run("segtrain --config tiny.json --run r"), 0) << text("stderr");
  const std::string start = "segtrain --config tiny.json --weights r/weights.safetensors --run ";
  EXPECT_EQ(run(start + "all --set model.weights.load=all"), 0) << text("stderr");
  EXPECT_NE(text("stderr").find("0 missing, 0 unexpected, 0 of another shape"), std::string::npos) << text("stderr");
  const std::string other = " --set model.classes=8 --set data.class_names=null";
  EXPECT_EQ(run(start + "other --set model.weights.load=all" + other), 3);
  EXPECT_NE(text("stderr").find("another number of classes"), std::string::npos) << text("stderr");
  EXPECT_EQ(run(start + "rest --set model.weights.load=all_but_classifier" + other), 0) << text("stderr");
  EXPECT_NE(text("stderr").find("not asked for, keep their values: classifier."), std::string::npos) << text("stderr");

  std::string bytes = text("r/weights.safetensors");
  const std::string checksum = "pixelwise.checksum";
  bytes.replace(bytes.find(checksum), checksum.size(), "pixelwise.nochecks");  // as another program's file
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + bytes.size() - sizeof nan, &nan, sizeof nan);
  write_file(scratch_.path("nan.safetensors"), bytes);
  EXPECT_EQ(run("segeval --weights nan.safetensors"), 3);
  EXPECT_NE(text("stderr").find("tensor '"), std::string::npos) << text("stderr");
  EXPECT_NE(text("stderr").find("has nan at element"), std::string::npos) << text("stderr");
}

TEST_F(Commands, EvaluationAndPredictionUseTheRun) {
  ASSERT_EQ(run("segtrain --config tiny.json --run r"), 0) << text("stderr");
  ASSERT_EQ(run("segeval --run r --json eval.json --csv eval.csv"), 0) << text("stderr");
  const JsonValue eval = parse_json(text("eval.json"), "eval.json");
  for (const char* key : {"images", "pixels", "ignored_pixels", "pixel_accuracy", "mean_accuracy", "mean_iou_voc",
                          "mean_iou_present", "fw_iou", "classes", "iou", "accuracy", "confusion_matrix"})
    EXPECT_TRUE(eval.find(key)) << key;
  EXPECT_EQ(eval.at("images").integer(), 3);
  EXPECT_EQ(eval.at("weights").text(), "r/best.safetensors");
  EXPECT_TRUE(text("stdout").starts_with("weights: r/best.safetensors\n")) << text("stdout");

  ASSERT_EQ(run("segeval --run r --json small.json --set data.resize=[24,40]"), 0) << text("stderr");
  const JsonValue small = parse_json(text("small.json"), "small.json");
  EXPECT_EQ(small.at("passport").at("preprocessing").at("resize").array().at(1).integer(), 40);
  EXPECT_EQ(small.at("pixels").integer() + small.at("ignored_pixels").integer(), 3 * 24 * 40);
  EXPECT_NE(text("stdout").find("resized to 24x40"), std::string::npos) << text("stdout");

  fs::remove(scratch_.path("r/best.safetensors"));
  ASSERT_EQ(run("segeval --run r"), 0) << text("stderr");
  EXPECT_TRUE(text("stdout").starts_with("weights: r/weights.safetensors\n")) << text("stdout");
  EXPECT_EQ(eval.at("confusion_matrix").array().size(), 7U);

  write_png(scratch_.path("photo.png"), Image(33, 47, 3, 90));
  ASSERT_EQ(run("segpredict photo.png --weights r/weights.safetensors --out out --planes --probabilities"), 0)
      << text("stderr");
  EXPECT_EQ(read_mask(scratch_.path("out/photo.png")).size(), (Size{33, 47}));
  EXPECT_EQ(read_image_size(scratch_.path("out/photo_overlay.png")), (Size{33, 47}));
  EXPECT_TRUE(fs::exists(scratch_.path("out/photo_planes.png")));
  EXPECT_EQ(fs::file_size(scratch_.path("out/photo.npy")), 128 + 33 * 47 * 7 * 4U);
  EXPECT_EQ(run("segpredict photo.png --run r --out ."), 2);  // photo.png would be overwritten
  EXPECT_NE(text("stderr").find("overwrite"), std::string::npos);
  EXPECT_FALSE(fs::exists(scratch_.path("photo_overlay.png")));
}

TEST_F(Commands, PredictionTakesFoldersAndLists) {
  ASSERT_EQ(run("segtrain --config tiny.json --run r --set train.max_steps=1"), 0) << text("stderr");
  const std::string predict = "segpredict --run r ";
  fs::create_directories(scratch_.path("in/deep"));
  write_png(scratch_.path("in/a.png"), Image(8, 9, 3, 90));
  write_png(scratch_.path("in/deep/b c.png"), Image(9, 8, 3, 50));
  write_file(scratch_.path("in/list.txt"), std::string("a.png\r\n\ndeep/b c.png\n"));  // not an image: passed over
  ASSERT_EQ(run(predict + "in --out folder"), 0) << text("stderr");
  ASSERT_EQ(run(predict + "in/list.txt --out list"), 0) << text("stderr");
  for (const char* name : {"/a.png", "/a_overlay.png", "/deep/b c.png", "/deep/b c_overlay.png"})
    EXPECT_TRUE(text(std::string("folder") + name) == text(std::string("list") + name)) << name;
  EXPECT_EQ(read_mask(scratch_.path("folder/deep/b c.png")).size(), (Size{9, 8}));

  write_jpeg(scratch_.path("in/a.jpg"), Image(8, 9, 3, 90));
  EXPECT_EQ(run(predict + "in --out twice"), 2);  // a.jpg and a.png
  EXPECT_NE(text("stderr").find("would overwrite the output of in/a.jpg"), std::string::npos) << text("stderr");
  write_file(scratch_.path("in/up.txt"), std::string("../in/a.png\n"));
  EXPECT_EQ(run(predict + "in/up.txt --out up"), 2);
  EXPECT_NE(text("stderr").find("outside of up"), std::string::npos) << text("stderr");
  fs::create_directories(scratch_.path("empty"));
  EXPECT_EQ(run(predict + "empty --out none"), 3);
  for (const char* name : {"twice", "up", "none"}) EXPECT_FALSE(fs::exists(scratch_.path(name))) << name;
}

TEST_F(Commands, PortraitsKeepTheSubject) {
  ASSERT_EQ(run("segtrain --config tiny.json --run r --set train.max_steps=1"), 0) << text("stderr");
  Image photo(33, 47, 3);
  for (size_t i = 0; i < photo.pixels.size(); ++i) photo.pixels[i] = static_cast<uint8_t>(i * i % 251);
  write_png(scratch_.path("photo.png"), photo);
  std::string every = "segportrait photo.png all.png --run r --mask mask.png";
  for (const std::string& name : preset_class_names("shapes")) every += " --class " + name;
  ASSERT_EQ(run(every), 0) << text("stderr");  // all classes together are certain: nothing is background
  EXPECT_EQ(read_photo(scratch_.path("all.png")).pixels, photo.pixels);
  EXPECT_EQ(read_photo(scratch_.path("mask.png"), 1).pixels, std::vector<uint8_t>(33 * 47, 255));
  EXPECT_EQ(run("segportrait photo.png none.png --run r"), 2);
  EXPECT_NE(text("stderr").find("--class person: the model has no such class; it has background"), std::string::npos);
  EXPECT_EQ(run("segportrait photo.png photo.png --run r --class disc"), 2);
  EXPECT_NE(text("stderr").find("overwrite"), std::string::npos);
  EXPECT_EQ(run("segportrait photo.png none.jpg --run r --class disc"), 2);
  EXPECT_EQ(run("segportrait photo.png none.png --class disc"), 2);
  EXPECT_EQ(run("segportrait missing.png none.png --run r --class disc"), 3);
  EXPECT_FALSE(fs::exists(scratch_.path("none.png")));
}

TEST_F(Commands, SamplesNeedDropout) {
  const std::string train = "segtrain --config tiny.json --set train.max_steps=1 --run ";
  const std::string bayesian =
      " --set model.name=segnet_basic --set model.options.bayesian=true "
      "--set model.options.width=0.1";
  ASSERT_EQ(run(train + "plain"), 0) << text("stderr");
  ASSERT_EQ(run(train + "bayesian" + bayesian), 0) << text("stderr");
  write_png(scratch_.path("photo.png"), Image(33, 47, 3, 90));
  EXPECT_EQ(run("segpredict photo.png --run plain --out out --samples 3"), 2);
  EXPECT_NE(text("stderr").find("'tiny_fcn' has no dropout"), std::string::npos) << text("stderr");
  EXPECT_FALSE(fs::exists(scratch_.path("out")));
  const std::string predict = "segpredict photo.png --run bayesian --samples 3 --out ";
  ASSERT_EQ(run(predict + "a --seed 5"), 0) << text("stderr");
  ASSERT_EQ(run(predict + "b --seed 5"), 0) << text("stderr");
  ASSERT_EQ(run(predict + "c --seed 6"), 0) << text("stderr");
  for (const char* name : {"/photo.png", "/photo_mean.png", "/photo_variance.png"})
    EXPECT_EQ(text(std::string("a") + name), text(std::string("b") + name)) << name;
  EXPECT_NE(text("a/photo_variance.png"), text("c/photo_variance.png"));
  EXPECT_EQ(run("segpredict photo.png --run bayesian --samples 0 --out d"), 2);
}

// The quickstart's data can only be told apart by looking around: a network of 1x1 convolutions, trained as the
// quickstart is, finds the background and little else. (1000 steps: 0.116, the FCN 0.88.)
using SlowCommands = Commands;
TEST_F(SlowCommands, TheQuickstartNeedsContext) {
  const std::string train = "segtrain --config " + quickstart_config + " --set train.max_steps=200 --run ";
  ASSERT_EQ(run(train + "points --set model.name=pixelwise_1x1 --set model.options.width=1 "
                        "--set model.options.fc_channels=null --set model.options.dropout=null"),
            0)
      << text("stderr");
  ASSERT_EQ(run(train + "fcn"), 0) << text("stderr");
  const auto quality = [&](const std::string& name) {
    EXPECT_EQ(run("segeval --run " + name + " --json " + name + ".json"), 0) << text("stderr");
    return parse_json(text(name + ".json"), name);
  };
  const JsonValue points = quality("points"), fcn = quality("fcn");
  EXPECT_LT(points.at("mean_iou_present").number(), 0.35);
  EXPECT_GT(points.at("pixel_accuracy").number(), 0.5);  // it did learn
  EXPECT_GT(fcn.at("mean_iou_present").number(), 0.35);
}

TEST_F(Commands, DefinitionsGiveNearlyTheSameLoss) {
  ASSERT_EQ(run("segtrain --config tiny.json --run fast --set train.max_steps=3"), 0) << text("stderr");
  setenv("PIXELWISE_KERNELS", "definition", 1);
  ASSERT_EQ(run("segtrain --config tiny.json --run plain --set train.max_steps=3"), 0) << text("stderr");
  ASSERT_EQ(run("segbench --config " + quickstart_config + " --size 32x32 --batch 1 --runs 1 --json"), 0);
  unsetenv("PIXELWISE_KERNELS");
  const JsonValue bench = parse_json(text("stdout"), "segbench");
  const auto& kernels = std::get<JsonValue::Object>(bench.at("kernels").value);
  EXPECT_EQ(kernels.size(), 1U);  // none but the definitions ran
  EXPECT_EQ(kernels.at(0).first, "definition");
  const auto loss = [&](const std::string& line) { return parse_json(line + "}", "metrics").at("loss").number(); };
  const auto fast = metrics("fast"), plain = metrics("plain");
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(loss(fast[i]), loss(plain[i]), 1e-4 * loss(plain[i]));
}

TEST_F(Commands, DryRunAndBenchSpeakAboutTheModel) {
  ASSERT_EQ(run("segtrain --config tiny.json --dry-run"), 0) << text("stderr");
  for (const char* part :
       {"NxHxWxC", "parameters", "GFLOP", "field", "stride", "MiB", "backbone.conv1 ", "planned peak memory"})
    EXPECT_NE(text("stdout").find(part), std::string::npos) << part;
  ASSERT_EQ(run("segtrain --config tiny.json --print-config --set optimizer.lr=0.25"), 0) << text("stderr");
  EXPECT_EQ(parse_json(text("stdout"), "config").at("optimizer").at("lr").number(), 0.25);
  ASSERT_EQ(run("segtrain --print-schema"), 0) << text("stderr");
  EXPECT_EQ(text("stdout"), read_file(std::string(PIXELWISE_SOURCE_DIR) + "/configs/schema.json"));
  EXPECT_FALSE(fs::exists(scratch_.path("runs")));  // looking leaves nothing behind
  ASSERT_EQ(run("segbench --config tiny.json --runs 1 --json"), 0) << text("stderr");
  const JsonValue line = parse_json(text("stdout"), "segbench");
  for (const char* key : {"model", "ms", "min_ms", "max_ms", "gflop", "gflops", "peak_gflops", "rss_mb", "arena_mb",
                          "parameters", "precision", "cpu", "kernels"})
    EXPECT_TRUE(line.find(key)) << key;
  ASSERT_EQ(run("segdescribe --config tiny.json --json"), 0) << text("stderr");
  const JsonValue nodes = parse_json(text("stdout"), "segdescribe");
  ASSERT_EQ(run("segdescribe --config tiny.json --csv"), 0) << text("stderr");
  const std::string csv = text("stdout");
  EXPECT_TRUE(csv.starts_with("name,operator,kernel,shape,parameters,flop,bytes,receptive_field,stride\n")) << csv;
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + std::ssize(nodes.array()));
}

TEST_F(Commands, ModelsAreListedAndDrawn) {
  ASSERT_EQ(run("segdescribe --list"), 0) << text("stderr");
  std::istringstream list(text("stdout"));
  std::map<std::string, std::string> rows;
  for (std::string row; std::getline(list, row);) rows[row.substr(0, row.find(' '))] = row;
  for (const ModelEntry& entry : model_registry()) {
    std::istringstream row(rows[entry.name]);
    std::string name;
    int64_t parameters = 0;
    double gflop = 0;
    row >> name >> parameters >> gflop;
    EXPECT_GT(parameters, 0) << entry.name;
    EXPECT_GT(gflop, 0) << entry.name;
    EXPECT_NE(rows[entry.name].find(entry.paper), std::string::npos) << entry.name;
  }
  // torchvision's, without the auxiliary head.
  EXPECT_NE(rows["deeplabv3_resnet50"].find(" 39638869 "), std::string::npos) << rows["deeplabv3_resnet50"];

  ASSERT_EQ(run("segdescribe segnet --set model.options.width=0.25 --svg net.svg"), 0) << text("stderr");
  for (const char* part : {"<svg", "segnet: 1.8 million parameters", ">encoder<", ">decoder<", "513×513×3"})
    EXPECT_NE(text("net.svg").find(part), std::string::npos) << part;
  EXPECT_EQ(run("segdescribe segnot --svg none.svg"), 2);
  EXPECT_NE(text("stderr").find("did you mean 'segnet'?"), std::string::npos) << text("stderr");
}

}  // namespace
}  // namespace pixelwise
