#include "pixelwise/train/weights.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "pixelwise/core/error.hpp"
#include "pixelwise/nn/builder.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

struct Wanted {
  std::string name;
  Shape shape;
  Layout layout = Layout::oihw;
};

Parameters make(const std::vector<Wanted>& list, uint64_t seed, Type type = Type::f32) {
  Graph graph;
  Builder builder(graph, Phase::training, type);
  for (const Wanted& wanted : list) builder.parameter(wanted.name, wanted.shape, Init::normal_001, wanted.layout);
  Parameters parameters;
  parameters.ensure(graph, seed);
  return parameters;
}

bool equal(const Parameter& a, const Parameter& b) {
  return a.memory.bytes() == b.memory.bytes() &&
         std::memcmp(a.memory.data(), b.memory.data(), static_cast<size_t>(a.memory.bytes())) == 0;
}

// A file whose tensors hold the numbers first, first + 1, ... in the file's order.
struct FileTensor {
  std::string name;
  std::vector<int64_t> shape;
  float first = 0;
};
std::string write_counting(const std::string& path, const std::vector<FileTensor>& tensors) {
  std::vector<TensorToWrite> list;
  for (const FileTensor& tensor : tensors) {
    list.push_back({tensor.name, FileType::f32, tensor.shape, [tensor](const Sink& sink) {
                      int64_t count = 1;
                      for (const int64_t extent : tensor.shape) count *= extent;
                      std::vector<float> values(static_cast<size_t>(count));
                      for (size_t i = 0; i < values.size(); ++i) values[i] = tensor.first + static_cast<float>(i);
                      sink(std::as_bytes(std::span(values)));
                    }});
  }
  write_safetensors(path, list, {});
  return path;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(Weights, FilesAreInPyTorchsOrder) {
  const ScratchFolder scratch;
  Parameters parameters = make(
      {{"conv", {2, 3, 5, 4}}, {"deep", {1, 3, 3, 6}, Layout::depthwise}, {"bias", {1, 1, 1, 7}, Layout::vector}}, 1);
  save_weights(scratch.path("w"), parameters, {{"model", "fcn8s_vgg16"}});
  const SafetensorsFile file(scratch.path("w"));
  EXPECT_EQ(file.metadata().at("model"), "fcn8s_vgg16");

  const TensorInfo& conv = *file.find("conv");
  EXPECT_EQ(conv.shape, (std::vector<int64_t>{2, 4, 3, 5})) << "O, I, H, W";
  const std::vector<float> values = file.read_f32(conv);
  const View view = parameters.at("conv").view();
  size_t at = 0;
  for (int64_t o = 0; o < 2; ++o)
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t y = 0; y < 3; ++y)
        for (int64_t x = 0; x < 5; ++x) ASSERT_EQ(values[at++], view.at<float>(o, y, x)[i]);

  EXPECT_EQ(file.find("deep")->shape, (std::vector<int64_t>{6, 1, 3, 3}));
  const std::vector<float> deep = file.read_f32(*file.find("deep"));
  EXPECT_EQ(deep[4 * 9 + 2 * 3 + 1], parameters.at("deep").view().at<float>(0, 2, 1)[4]);
  EXPECT_EQ(file.find("bias")->shape, (std::vector<int64_t>{7}));
}

TEST(Weights, RoundTripKeepsEveryBit) {
  const ScratchFolder scratch;
  const std::vector<Wanted> list{{"large", {70, 3, 3, 700}},  // more than one piece
                                 {"row", {3, 7, 7, 6000}},    // an output channel larger than a piece
                                 {"deep", {1, 3, 3, 6}, Layout::depthwise},
                                 {"bias", {1, 1, 1, 7}, Layout::vector}};
  for (const Type type : {Type::f32, Type::f64}) {
    Parameters saved = make(list, 1, type), loaded = make(list, 2, type);
    save_weights(scratch.path("w"), saved, {});
    const uint64_t version = loaded.at("large").version;
    const LoadReport report = load_weights(scratch.path("w"), loaded, LoadMode::all);
    EXPECT_EQ(report.matched, (std::vector<std::string>{"bias", "deep", "large", "row"}));
    for (const Wanted& wanted : list) EXPECT_TRUE(equal(saved.at(wanted.name), loaded.at(wanted.name))) << wanted.name;
    EXPECT_GT(loaded.at("large").version, version) << "packed copies must be made again";
  }
}

const std::vector<Wanted> small_fcn{{"backbone.features.0.weight", {4, 3, 3, 2}},
                                    {"backbone.features.0.bias", {1, 1, 1, 4}, Layout::vector},
                                    {"classifier.fc6.weight", {5, 7, 7, 4}},
                                    {"classifier.fc7.weight", {5, 1, 1, 5}},
                                    {"classifier.score.weight", {3, 1, 1, 5}}};

std::string torchvision_vgg(const ScratchFolder& scratch) {
  return write_counting(scratch.path("vgg"), {{"features.0.weight", {4, 2, 3, 3}, 1},
                                              {"features.0.bias", {4}, 100},
                                              {"classifier.0.weight", {5, 4 * 7 * 7}, 1000},
                                              {"classifier.3.weight", {5, 5}, 5000},
                                              {"classifier.6.weight", {9, 5}, 9000}});
}

TEST(Weights, TorchvisionsVggLoadsByTheTableOfPrefixes) {
  const ScratchFolder scratch;
  Parameters parameters = make(small_fcn, 1);
  const Parameters before = make(small_fcn, 1);
  const LoadReport report = load_weights(torchvision_vgg(scratch), parameters, LoadMode::matching);
  EXPECT_EQ(report.matched.size(), 4u);
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"classifier.6.weight"});
  EXPECT_EQ(report.missing, std::vector<std::string>{"classifier.score.weight"});
  // Output 1, channel 2, row 1, column 0 of a 4x2x3x3 tensor, and so on.
  EXPECT_EQ(parameters.at("backbone.features.0.weight").view().at<float>(1, 1, 0)[1], 1 + (1 * 2 + 1) * 9 + 3);
  EXPECT_EQ(parameters.at("backbone.features.0.bias").view().as<float>()[3], 103);
  EXPECT_EQ(parameters.at("classifier.fc6.weight").view().at<float>(2, 6, 5)[3], 1000 + 2 * 196 + 3 * 49 + 6 * 7 + 5);
  EXPECT_EQ(parameters.at("classifier.fc7.weight").view().at<float>(4, 0, 0)[1], 5000 + 4 * 5 + 1);
  EXPECT_TRUE(equal(parameters.at("classifier.score.weight"), *before.find("classifier.score.weight")));
  const std::string text = to_string(report);
  EXPECT_NE(text.find("4 tensors loaded, 1 missing, 1 unexpected"), std::string::npos) << text;
  EXPECT_NE(text.find("classifier.score.weight"), std::string::npos) << text;
}

TEST(Weights, BackboneLoadsNothingElse) {
  const ScratchFolder scratch;
  Parameters parameters = make(small_fcn, 1);
  const Parameters before = make(small_fcn, 1);
  const LoadReport report = load_weights(torchvision_vgg(scratch), parameters, LoadMode::backbone);
  EXPECT_EQ(report.matched, (std::vector<std::string>{"backbone.features.0.bias", "backbone.features.0.weight"}));
  EXPECT_EQ(report.left_out,
            (std::vector<std::string>{"classifier.fc6.weight", "classifier.fc7.weight", "classifier.score.weight"}));
  EXPECT_TRUE(report.missing.empty());
  const std::string text = to_string(report);
  EXPECT_NE(text.find("not asked for, keep their values: classifier.fc6.weight"), std::string::npos) << text;
  EXPECT_TRUE(equal(parameters.at("classifier.fc6.weight"), *before.find("classifier.fc6.weight")));
  const std::string without = write_counting(scratch.path("no_bias"), {{"features.0.weight", {4, 2, 3, 3}, 1}});
  const std::string message = message_of([&] { load_weights(without, parameters, LoadMode::backbone); });
  EXPECT_NE(message.find("backbone.features.0.bias"), std::string::npos) << message;
}

TEST(Weights, AllRefusesEveryDifferenceBeforeItChangesAnything) {
  const ScratchFolder scratch;
  const std::vector<Wanted> list{{"a", {2, 1, 1, 3}}, {"b", {1, 1, 1, 4}, Layout::vector}};
  const Parameters before = make(list, 1);
  const auto refused = [&](const std::vector<FileTensor>& tensors, const std::string& part) {
    Parameters parameters = make(list, 1);
    write_counting(scratch.path("w"), tensors);
    const std::string message = message_of([&] { load_weights(scratch.path("w"), parameters, LoadMode::all); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find(scratch.path("w")), std::string::npos) << message;
    EXPECT_TRUE(equal(parameters.at("a"), *before.find("a")));
    EXPECT_TRUE(equal(parameters.at("b"), *before.find("b")));
  };
  refused({{"a", {2, 3, 1, 1}, 0}}, "missing: b");
  refused({{"a", {2, 3, 1, 1}, 0}, {"b", {5}, 0}}, "b: 5 in the file, 4 in the model");
  refused({{"a", {3, 2, 1, 1}, 0}, {"b", {4}, 0}}, "a: 3x2x1x1 in the file, 2x3x1x1 in the model");
  refused({{"a", {2, 3, 1, 1}, 0}, {"b", {4}, 0}, {"c", {1}, 0}}, "tensors that the model has not got: c");
  refused({{"a", {3, 2, 1, 1}, 0}, {"c", {1}, 0}},  // all of it at once
          "tensors of another shape: a: 3x2x1x1 in the file, 2x3x1x1 in the model; tensors are missing: b; "
          "tensors that the model has not got: c; to load a part");
}

TEST(Weights, MatchingKeepsWhatHasAnotherShape) {
  const ScratchFolder scratch;
  const std::vector<Wanted> list{{"a", {2, 1, 1, 3}}, {"score", {11, 1, 1, 4}}};
  Parameters parameters = make(list, 1);
  const Parameters before = make(list, 1);
  write_counting(scratch.path("w"), {{"a", {2, 3, 1, 1}, 0}, {"score", {21, 4, 1, 1}, 0}});
  const LoadReport report = load_weights(scratch.path("w"), parameters, LoadMode::matching);
  EXPECT_EQ(report.wrong_shape, std::vector<std::string>{"score: 21x4x1x1 in the file, 11x4x1x1 in the model"});
  EXPECT_EQ(parameters.at("a").view().as<float>()[5], 5);
  EXPECT_TRUE(equal(parameters.at("score"), *before.find("score")));
  write_counting(scratch.path("none"), {{"x", {2}, 0}});
  EXPECT_THROW(load_weights(scratch.path("none"), parameters, LoadMode::matching), DataError);
}

TEST(Weights, AnotherNumberOfClassesIsNamed) {
  const ScratchFolder scratch;
  const std::vector<Wanted> list{{"a", {2, 1, 1, 3}}, {"score", {11, 1, 1, 4}}};
  const std::vector<std::string> classifier{"score"};
  Parameters parameters = make(list, 1);
  const Parameters before = make(list, 1);
  write_counting(scratch.path("w"), {{"a", {2, 3, 1, 1}, 0}, {"score", {21, 4, 1, 1}, 0}});
  const std::string message =
      message_of([&] { load_weights(scratch.path("w"), parameters, LoadMode::all, classifier); });
  EXPECT_NE(message.find("another number of classes: score: 21x4x1x1 in the file, 11x4x1x1"), std::string::npos)
      << message;
  EXPECT_NE(message.find("all_but_classifier"), std::string::npos) << message;
  EXPECT_TRUE(equal(parameters.at("a"), *before.find("a")));

  const LoadReport report = load_weights(scratch.path("w"), parameters, LoadMode::all_but_classifier, classifier);
  EXPECT_EQ(report.matched, std::vector<std::string>{"a"});
  EXPECT_EQ(report.left_out, classifier);
  EXPECT_TRUE(report.wrong_shape.empty());
  EXPECT_TRUE(equal(parameters.at("score"), *before.find("score")));

  // As many classes: the classifier is left out all the same. What else differs is still refused.
  write_counting(scratch.path("w"), {{"a", {2, 3, 1, 1}, 0}, {"score", {11, 4, 1, 1}, 0}});
  load_weights(scratch.path("w"), parameters, LoadMode::all_but_classifier, classifier);
  EXPECT_TRUE(equal(parameters.at("score"), *before.find("score")));
  write_counting(scratch.path("w"), {{"score", {21, 4, 1, 1}, 0}});
  EXPECT_THROW(load_weights(scratch.path("w"), parameters, LoadMode::all_but_classifier, classifier), DataError);
}

TEST(Weights, ClassWeightsOfALossAreNoPartOfTheModel) {
  const ScratchFolder scratch;
  const std::vector<Wanted> model{{"a", {2, 1, 1, 3}}};
  std::vector<Wanted> training = model;
  training.push_back({"main_loss.class_weights", {1, 1, 1, 4}, Layout::vector});
  Parameters saved = make(training, 1), loaded = make(training, 2), whole = make(model, 2);
  save_weights(scratch.path("w"), saved, {});
  EXPECT_EQ(SafetensorsFile(scratch.path("w")).tensors().size(), 1u);
  EXPECT_TRUE(load_weights(scratch.path("w"), loaded, LoadMode::all).missing.empty());
  EXPECT_EQ(load_weights(scratch.path("w"), whole, LoadMode::all).matched, std::vector<std::string>{"a"});
}

TEST(Weights, ValuesThatAreNotFiniteAreNamed) {
  const ScratchFolder scratch;
  const std::vector<Wanted> list{{"fine", {1, 1, 1, 3}, Layout::vector}, {"broken", {2, 1, 1, 3}}};
  Parameters parameters = make(list, 1);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    parameters.at("broken").view().as<float>()[4] = bad;
    save_weights(scratch.path("w"), parameters, {});
    Parameters target = make(list, 2);
    for (const LoadMode mode : {LoadMode::all, LoadMode::matching}) {
      const std::string message = message_of([&] { load_weights(scratch.path("w"), target, mode); });
      EXPECT_NE(message.find("'broken'"), std::string::npos) << message;
      EXPECT_NE(message.find("element 4"), std::string::npos) << message;
    }
  }
}

TEST(Weights, OneDamagedBitIsFoundBeforeAnythingChanges) {
  const ScratchFolder scratch;
  const std::vector<Wanted> list{{"a", {2, 1, 1, 3}}, {"b", {1, 1, 1, 4}, Layout::vector}};
  save_weights(scratch.path("w"), make(list, 1), {{"model", "m"}});
  std::string bytes = read_file(scratch.path("w"));
  bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 1);
  write_file(scratch.path("w"), bytes);
  Parameters target = make(list, 2);
  const std::string message = message_of([&] { load_weights(scratch.path("w"), target, LoadMode::all); });
  EXPECT_NE(message.find(scratch.path("w") + ": damaged"), std::string::npos) << message;
  const Parameters before = make(list, 2);
  for (const char* name : {"a", "b"}) EXPECT_TRUE(equal(target.at(name), *before.find(name)));
}

TEST(Weights, PyTorchsCountOfBatchesIsPassedOver) {
  const ScratchFolder scratch;
  Parameters parameters = make({{"bn.weight", {1, 1, 1, 3}, Layout::vector}}, 1);
  const TensorToWrite count{"bn.num_batches_tracked", FileType::i64, {}, [](const Sink& sink) {
                              const int64_t batches = 12;
                              sink(std::as_bytes(std::span(&batches, 1)));
                            }};
  write_safetensors(scratch.path("w"), {tensor_to_write(parameters.at("bn.weight"), "bn.weight"), count}, {});
  const LoadReport report = load_weights(scratch.path("w"), parameters, LoadMode::all);
  EXPECT_TRUE(report.unexpected.empty());
}

TEST(Weights, LoadModesByName) {
  EXPECT_EQ(load_mode("all"), LoadMode::all);
  EXPECT_EQ(load_mode("all_but_classifier"), LoadMode::all_but_classifier);
  EXPECT_EQ(load_mode("backbone"), LoadMode::backbone);
  EXPECT_EQ(load_mode("matching"), LoadMode::matching);
  EXPECT_THROW(load_mode("some"), UsageError);
}

}  // namespace
}  // namespace pixelwise
