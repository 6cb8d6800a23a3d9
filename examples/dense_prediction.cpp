// dense_prediction [WEIGHTS FOLDER]: the numbers of docs/1-dense-prediction.md; with the weights of a network for the
// shapes (tools/quickstart.sh trains one) also what that network makes of the scene, and the pictures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <stdexcept>

#include "pixelwise/app/experiment.hpp"
#include "pixelwise/io/sheet.hpp"
#include "pixelwise/nn/builder.hpp"

using namespace pixelwise;

namespace {

constexpr int64_t scene_index = 6, void_id = 255;
const std::vector<std::string> names = preset_class_names("shapes");
const auto classes = static_cast<int64_t>(names.size());

// A scene of the shapes' validation data, 96 x 96 pixels, photographed in 3 channels (RGB) or 1 (grey).
Sample shapes_scene(int64_t channels) {
  DataOptions options;
  options.format = options.class_names_preset = "shapes";
  options.val = "100";
  options.shapes_size = {96, 96};
  const uint64_t seed = 1;
  return open_dataset(options, "val", classes, channels, seed)->read(scene_index);
}

// Four pixels, three classes: from scores to a prediction, and to a loss.
void four_pixels() {
  Graph graph;
  Builder builder(graph, Phase::inference);
  const ValueId scores = builder.input("scores", Type::f32, {1, 1, 4, 3});
  const ValueId labels = builder.input("labels", Type::u8, {1, 1, 4, 1});
  const ValueId prediction = builder.argmax(scores, "prediction");
  const ValueId probabilities = builder.softmax(scores, "probabilities");
  const ValueId targets = builder.one_hot(labels, "targets", {.classes = 3, .ignore_label = void_id});
  const ValueId loss = builder.softmax_cross_entropy(scores, targets, "loss", {});
  for (const ValueId id : {prediction, probabilities, targets, loss}) builder.mark_external(id);

  Parameters none;
  Executor executor(graph, none, std::make_shared<Arena>());
  const float given[] = {2, 1, 0, 0, 3, 0, 1, 1, 1, 0, 0, 5};
  const uint8_t truth[] = {0, 2, 1, void_id};
  std::copy(std::begin(given), std::end(given), executor.view(scores).as<float>());
  std::copy(std::begin(truth), std::end(truth), executor.view(labels).as<uint8_t>());
  executor.run();

  std::puts("pixel  scores   probabilities      argmax  truth  one-hot  -log p of the truth");
  for (int64_t x = 0; x < 4; ++x) {
    const float* s = executor.view(scores).at<float>(0, 0, x);
    const float* p = executor.view(probabilities).at<float>(0, 0, x);
    const float* t = executor.view(targets).at<float>(0, 0, x);
    std::printf("%5d  %g  %g  %g  %.3f %.3f %.3f  %6d", static_cast<int>(x), s[0], s[1], s[2], p[0], p[1], p[2],
                *executor.view(prediction).at<uint8_t>(0, 0, x));
    if (truth[x] == void_id)
      std::printf("   void  %g  %g  %g  -\n", t[0], t[1], t[2]);
    else
      std::printf("  %5d  %g  %g  %g  %.3f\n", truth[x], t[0], t[1], t[2], -std::log(p[truth[x]]));
  }
  std::printf("loss: %.3f\n\n", *executor.view(loss).as<float>());
}

// How many pixels of the scene show each class.
void count_pixels(const Sample& scene) {
  std::printf("scene %s: %d x %d pixels\n", scene.id.c_str(), static_cast<int>(scene.mask.height),
              static_cast<int>(scene.mask.width));
  const auto count = [&](int64_t id) {
    return static_cast<int>(std::count(scene.mask.pixels.begin(), scene.mask.pixels.end(), id));
  };
  for (int64_t c = 0; c < classes; ++c) std::printf("%3d %-12s %5d\n", static_cast<int>(c), names[c].c_str(), count(c));
  std::printf("%3d %-12s %5d\n", static_cast<int>(void_id), "void", count(void_id));
}

using Brightness = std::function<double(int64_t y, int64_t x)>;  // 0: black, 1: white

Image grey_picture(Size size, const Brightness& brightness) {
  Image picture(size.h, size.w, 1);
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x)
      *picture.at(y, x) = static_cast<uint8_t>(255 * std::clamp(brightness(y, x), 0.0, 1.0) + 0.5);
  }
  return picture;
}

// A picture for each class.
std::vector<Picture> class_planes(Size size, const std::function<double(int64_t c, int64_t y, int64_t x)>& brightness) {
  std::vector<Picture> planes;
  for (int64_t c = 0; c < classes; ++c)
    planes.push_back({names[c], grey_picture(size, [&](int64_t y, int64_t x) { return brightness(c, y, x); })});
  return planes;
}

Image coloured(const Image& ids) {
  Image picture(ids.height, ids.width, 3);
  for (size_t i = 0; i < ids.pixels.size(); ++i) {
    const Colour colour = voc_palette()[ids.pixels[i]];
    std::copy(colour.begin(), colour.end(), picture.pixels.begin() + static_cast<int64_t>(3 * i));
  }
  return picture;
}

// The photo in colour and grey, and its truth; below, the one-hot targets, white where they are 1.
void draw_truth(const Sample& scene, const std::string& path) {
  const Picture photo{"photo", scene.photo}, grey{"grey", shapes_scene(1).photo}, truth{"truth", coloured(scene.mask)};
  const auto target = [&](int64_t c, int64_t y, int64_t x) { return *scene.mask.at(y, x) == c ? 1 : 0.2; };
  write_png(path, draw_sheet({{photo, grey, truth}, class_planes(scene.mask.size(), target)}));
}

// What a trained network makes of the scene: scores, argmax, and the loss of every pixel.
void look_at(const Sample& scene, const std::string& weights, const std::string& path) {
  const Size size = scene.mask.size();
  TrainedModel model(weights);
  if (model.class_names() != names) throw std::runtime_error(weights + ": wanted a network for the shapes");
  Executor executor = model.maker({.scores = true, .probabilities = true})({1, size.h, size.w, 3});
  write_input(scene.photo, model.config().model.normalize, executor.view("image"), 0);
  executor.run();

  const View scores = executor.view("scores"), p = executor.view("probabilities");
  Image prediction(size.h, size.w, 1);
  std::copy_n(executor.view("prediction").as<uint8_t>(), prediction.pixels.size(), prediction.pixels.begin());

  double sum = 0;
  int counted = 0, right = 0;
  const auto loss_at = [&](int64_t y, int64_t x) {
    const uint8_t truth = *scene.mask.at(y, x);
    return truth == void_id ? 0 : -std::log(std::max(p.at<float>(0, y, x)[truth], 1e-30f));
  };
  for (int64_t y = 0; y < size.h; ++y) {
    for (int64_t x = 0; x < size.w; ++x) {
      if (*scene.mask.at(y, x) == void_id) continue;
      sum += loss_at(y, x);
      right += *prediction.at(y, x) == *scene.mask.at(y, x);
      ++counted;
    }
  }
  std::printf("\npixels that count: %d, right: %d, mean loss: %.3f (a guess: ln %d = %.3f)\n", counted, right,
              sum / counted, static_cast<int>(classes), std::log(static_cast<double>(classes)));

  const auto [low, high] = std::minmax_element(scores.as<float>(), scores.as<float>() + scores.shape.count());
  const auto score = [&](int64_t c, int64_t y, int64_t x) {
    return (scores.at<float>(0, y, x)[c] - *low) / (*high - *low);
  };
  const double white = 3;  // the loss that is drawn white
  const Image losses = grey_picture(size, [&](int64_t y, int64_t x) { return loss_at(y, x) / white; });
  const Picture photo{"photo", scene.photo}, truth{"truth", coloured(scene.mask)};
  const Picture argmax{"argmax", coloured(prediction)}, loss{"loss", losses};
  write_png(path, draw_sheet({{photo, truth, argmax, loss}, class_planes(size, score)}));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 1 && argc != 3) return std::fputs("usage: dense_prediction [WEIGHTS FOLDER]\n", stderr), 2;
  const Sample scene = shapes_scene(3);
  four_pixels();
  count_pixels(scene);
  if (argc == 1) return 0;
  const std::string weights = argv[1], folder = argv[2];
  std::filesystem::create_directories(folder);
  draw_truth(scene, folder + "/truth.png");
  look_at(scene, weights, folder + "/scores.png");
  return 0;
} catch (const std::exception& error) {
  return std::fprintf(stderr, "dense_prediction: %s\n", error.what()), 1;
}
