// Weights of one network start another: torchvision's VGG16 an FCN, FCN-32s FCN-16s, FCN-16s FCN-8s (Long et al. 2015,
// sections 4.1 and 4.2).
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/format.hpp"
#include "pixelwise/app/config.hpp"
#include "pixelwise/models/registry.hpp"
#include "pixelwise/train/weights.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

using Names = std::vector<std::string>;

Parameters parameters_of(const std::string& model, uint64_t seed, int64_t classes = 21) {
  Graph graph;
  Builder builder(graph, Phase::training);
  ModelOptions options;
  options.width = 1.0 / 16;
  build_model(builder, {model, classes, 3, options}, builder.input("image", Type::f32, {1, 32, 32, 3}));
  Parameters parameters;
  parameters.ensure(graph, seed);
  return parameters;
}

// All tensors of torchvision's vgg16 (or vgg16_bn), a sixteenth as wide; tensor number i is filled with i + 1.
Names write_torchvision_vgg16(const std::string& path, bool batch_norm) {
  std::vector<TensorToWrite> tensors;
  Names names;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    names.push_back(name);
    const auto value = static_cast<float>(names.size());
    const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    tensors.push_back({name, FileType::f32, shape, [value, count](const Sink& sink) {
                         const std::vector<float> values(static_cast<size_t>(count), value);
                         sink(std::as_bytes(std::span(values)));
                       }});
  };
  int layer = 0;
  int64_t in = 3;
  for (const int64_t out : {4, 4, 0, 8, 8, 0, 16, 16, 16, 0, 32, 32, 32, 0, 32, 32, 32, 0}) {
    if (out == 0) {  // pooling
      ++layer;
      continue;
    }
    add(format("features.{}.weight", layer), {out, in, 3, 3});
    add(format("features.{}.bias", layer), {out});
    if (batch_norm) {
      ++layer;
      for (const char* part : {"weight", "bias", "running_mean", "running_var"})
        add(format("features.{}.{}", layer, part), {out});
    }
    layer += 2;  // ReLU
    in = out;
  }
  add("classifier.0.weight", {256, 32 * 7 * 7}), add("classifier.0.bias", {256});
  add("classifier.3.weight", {256, 256}), add("classifier.3.bias", {256});
  add("classifier.6.weight", {1000, 256}), add("classifier.6.bias", {1000});
  write_safetensors(path, tensors, {});
  return names;
}

TEST(ModelWeights, TorchvisionsVgg16LoadsByName) {
  const std::string config = PIXELWISE_SOURCE_DIR + std::string("/configs/fcn_voc.json");
  const LoadMode mode = load_mode(load_config(config).model.weights.load);
  for (const bool batch_norm : {false, true}) {
    const ScratchFolder scratch;
    const Names names = write_torchvision_vgg16(scratch.path("vgg"), batch_norm);
    Parameters fcn = parameters_of(batch_norm ? "fcn8s_vgg16_bn" : "fcn8s_vgg16", 1);
    const LoadReport report = load_weights(scratch.path("vgg"), fcn, mode);
    EXPECT_EQ(report.matched.size(), names.size() - 2);
    EXPECT_EQ(report.unexpected, (Names{"classifier.6.bias", "classifier.6.weight"}));
    EXPECT_TRUE(report.wrong_shape.empty());
    for (const std::string& name : report.missing)
      EXPECT_TRUE(name.starts_with("classifier.score_") || name.starts_with("classifier.upscore")) << name;
    const auto expect = [&](const std::string& ours, const std::string& theirs) {
      const auto number = std::find(names.begin(), names.end(), theirs) - names.begin() + 1;
      ASSERT_LE(number, static_cast<std::ptrdiff_t>(names.size())) << theirs;
      EXPECT_EQ(fcn.at(ours).view().as<float>()[0], static_cast<float>(number)) << ours;
    };
    const std::string last = batch_norm ? "features.40" : "features.28";
    expect("backbone.features.0.weight", "features.0.weight");
    expect("backbone." + last + ".weight", last + ".weight");
    expect("backbone." + last + ".bias", last + ".bias");
    expect("classifier.fc6.weight", "classifier.0.weight");
    expect("classifier.fc7.weight", "classifier.3.weight");
    expect("classifier.fc7.bias", "classifier.3.bias");
    if (batch_norm) expect("backbone.features.41.running_var", "features.41.running_var");
  }
}

// tests/convert/torchvision_test.py has torchvision's own names.
TEST(ModelWeights, BackbonesLoadFromFilesOfTheirOwn) {
  const std::vector<std::pair<const char*, const char*>> models{
      {"segnet", "features.0.weight"},
      {"fcn_resnet18", "layer4.1.bn2.running_var"},
      {"deeplabv3_resnet50", "layer1.0.downsample.0.weight"},
      {"deeplabv3plus_mobilenet_v2", "features.17.conv.2.weight"}};
  for (const auto& [model, name] : models) {
    const ScratchFolder scratch;
    const std::string prefix = "backbone.";
    Parameters saved = parameters_of(model, 2), loaded = parameters_of(model, 3);
    std::vector<TensorToWrite> tensors;
    for (const Parameter* p : saved.all()) {
      if (p->name.starts_with(prefix)) tensors.push_back(tensor_to_write(*p, p->name.substr(prefix.size())));
    }
    write_safetensors(scratch.path("w"), tensors, {});
    ASSERT_NE(SafetensorsFile(scratch.path("w")).find(name), nullptr) << model;
    const LoadReport report = load_weights(scratch.path("w"), loaded, LoadMode::backbone);
    EXPECT_EQ(report.matched.size(), tensors.size()) << model;
    EXPECT_TRUE(report.missing.empty()) << model;
    EXPECT_FALSE(report.left_out.empty()) << model;
    const View ours = loaded.at(prefix + name).view(), theirs = saved.at(prefix + name).view();
    EXPECT_TRUE(std::equal(ours.as<float>(), ours.as<float>() + ours.shape.count(), theirs.as<float>())) << model;
  }
}

TEST(ModelWeights, TheClassifierIsWhatDependsOnTheClasses) {
  EXPECT_EQ(classifier_of({"deeplabv3_resnet50", 21, 3, {}}), (Names{"classifier.4.weight", "classifier.4.bias"}));
  ModelOptions auxiliary;
  auxiliary.auxiliary = true;
  EXPECT_EQ(classifier_of({"fcn_resnet18", 5, 3, auxiliary}),
            (Names{"classifier.4.weight", "classifier.4.bias", "aux_classifier.4.weight", "aux_classifier.4.bias"}));
  const ScratchFolder scratch;
  save_weights(scratch.path("w"), parameters_of("fcn16s_vgg16", 2, 21), {});
  Parameters camvid = parameters_of("fcn16s_vgg16", 3, 11);
  const LoadReport report =
      load_weights(scratch.path("w"), camvid, LoadMode::all_but_classifier, classifier_of({"fcn16s_vgg16", 11, 3, {}}));
  EXPECT_EQ(report.left_out,
            (Names{"classifier.score_fr.bias", "classifier.score_fr.weight", "classifier.score_pool4.bias",
                   "classifier.score_pool4.weight", "classifier.upscore16.weight", "classifier.upscore2.weight"}));
}

TEST(ModelWeights, StagesStartFromTheCoarserNet) {
  const auto start = [](const std::string& from, const std::string& to) {
    const ScratchFolder scratch;
    save_weights(scratch.path("w"), parameters_of(from, 2), {});
    Parameters parameters = parameters_of(to, 3);
    const LoadReport report = load_weights(scratch.path("w"), parameters, LoadMode::matching);
    EXPECT_TRUE(report.wrong_shape.empty());
    return std::pair{report.missing, report.unexpected};
  };
  const auto [missing16, unexpected16] = start("fcn32s_vgg16", "fcn16s_vgg16");
  EXPECT_EQ(missing16, (Names{"classifier.score_pool4.bias", "classifier.score_pool4.weight",
                              "classifier.upscore16.weight", "classifier.upscore2.weight"}));
  EXPECT_EQ(unexpected16, Names{"classifier.upscore32.weight"});
  const auto [missing8, unexpected8] = start("fcn16s_vgg16_bn", "fcn8s_vgg16_bn");
  EXPECT_EQ(missing8, (Names{"classifier.score_pool3.bias", "classifier.score_pool3.weight",
                             "classifier.upscore8.weight", "classifier.upscore_pool4.weight"}));
  EXPECT_EQ(unexpected8, Names{"classifier.upscore16.weight"});
}

}  // namespace
}  // namespace pixelwise
