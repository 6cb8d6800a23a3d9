// decoders [WEIGHTS... PICTURE]: the numbers of docs/2-decoders.md; with the weights of networks for the shapes also
// what each of them makes of the same scene, and where it is wrong.
#include <algorithm>
#include <cstdio>
#include <exception>

#include "pixelwise/app/experiment.hpp"
#include "pixelwise/io/sheet.hpp"
#include "pixelwise/models/registry.hpp"

using namespace pixelwise;

namespace {

constexpr int64_t scene_index = 6, void_id = 255;
constexpr int64_t classes = 7;

Sample shapes_scene() {
  DataOptions options;
  options.format = options.class_names_preset = "shapes";
  options.val = "100";
  options.shapes_size = {96, 96};
  const uint64_t seed = 1;
  return open_dataset(options, "val", classes, 3, seed)->read(scene_index);
}

// The stride of a network's coarsest map, the receptive field where its backbone ends, and the widest of all.
void geometry(const char* name, const ModelOptions& options) {
  Graph graph;
  Builder builder(graph, Phase::inference);
  const ValueId image = builder.input("image", Type::f32, {1, 512, 512, 3});
  build_model(builder, {name, classes, 3, options}, image);
  double stride = 1, backbone = 1, widest = 1;
  for (const Node& node : graph.nodes) {
    const Geometry& g = graph.at(node.dst[0].value).geometry.h;
    stride = std::max(stride, g.stride);
    widest = std::max(widest, g.field);
    if (node.name.starts_with("backbone.")) backbone = std::max(backbone, g.field);
  }
  std::printf("%-20s  %6g  %8g  %6g\n", name, stride, backbone, widest);
}

// One stage of SegNet's way down and up, by hand.
void unpool() {
  Graph graph;
  Builder builder(graph, Phase::inference);
  const ValueId map = builder.input("map", Type::f32, {1, 4, 4, 1});
  const Builder::Pooled pooled = builder.max_pool2d(map, "pooled", {{2, 2}, {2, 2}});
  const ValueId unpooled = builder.max_unpool2d(pooled, pooled.map, "unpooled", {{2, 2}, {2, 2}, {0, 0}, {4, 4}});
  const ValueId resized = builder.resize(pooled.map, "resized", {{4, 4}, Interpolation::bilinear, false});
  for (const ValueId id : {pooled.map, unpooled, resized}) builder.mark_external(id);
  Parameters none;
  Executor executor(graph, none, std::make_shared<Arena>());
  const float given[] = {0, 0, 0, 1, 0, 0, 0, 9, 0, 8, 7, 6, 0, 1, 5, 4};
  std::copy(std::begin(given), std::end(given), executor.view(map).as<float>());
  executor.run();
  const auto print = [&](const char* name, ValueId id) {
    const View& view = executor.view(id);
    std::printf("%s\n", name);
    for (int64_t y = 0; y < view.shape.h; ++y) {
      for (int64_t x = 0; x < view.shape.w; ++x) std::printf(" %4.1f", *view.at<float>(0, y, x));
      std::puts("");
    }
  };
  print("the map", map);
  print("pooled", pooled.map);
  print("put back by the indices", unpooled);
  print("resized, bilinear", resized);
}

Image coloured(const Image& ids) {
  Image picture(ids.height, ids.width, 3);
  for (size_t i = 0; i < ids.pixels.size(); ++i) {
    const Colour colour = voc_palette()[ids.pixels[i]];
    std::copy(colour.begin(), colour.end(), picture.pixels.begin() + static_cast<int64_t>(3 * i));
  }
  return picture;
}

// White where a pixel that counts is wrong.
Image wrong(const Image& truth, const Image& prediction) {
  Image picture(truth.height, truth.width, 1);
  for (size_t i = 0; i < truth.pixels.size(); ++i)
    picture.pixels[i] = truth.pixels[i] != void_id && truth.pixels[i] != prediction.pixels[i] ? 255 : 0;
  return picture;
}

std::vector<Picture> look(const Sample& scene, const std::string& weights) {
  TrainedModel model(weights);
  Evaluator evaluator(evaluator_options(model.config()), model.maker());
  const Image prediction = evaluator.predict(scene.photo, scene.id), errors = wrong(scene.mask, prediction);
  std::printf("%s: %d pixels wrong\n", model.config().model.name.c_str(),
              static_cast<int>(std::count(errors.pixels.begin(), errors.pixels.end(), 255)));
  return {{model.config().model.name, coloured(prediction)}, {"wrong", errors}};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2) return std::fputs("usage: decoders [WEIGHTS... PICTURE]\n", stderr), 2;
  std::puts("network               stride  backbone  widest");
  geometry("fcn32s_vgg16", {});
  geometry("fcn8s_vgg16", {});
  geometry("segnet_basic", {});
  geometry("segnet", {});
  for (const int64_t output_stride : {32, 16, 8}) {
    ModelOptions options;
    options.output_stride = output_stride;
    options.image_pooling = "none";  // it sees the whole photo
    geometry("deeplabv3_resnet50", options);
  }
  std::puts("");
  unpool();
  if (argc == 1) return 0;
  const Sample scene = shapes_scene();
  std::vector<std::vector<Picture>> rows{{{"photo", scene.photo}}, {{"truth", coloured(scene.mask)}}};
  for (int i = 1; i < argc - 1; ++i) {
    const std::vector<Picture> pictures = look(scene, argv[i]);
    for (size_t row = 0; row < 2; ++row) rows[row].push_back(pictures[row]);
  }
  write_png(argv[argc - 1], draw_sheet(rows));
  return 0;
} catch (const std::exception& error) {
  return std::fprintf(stderr, "decoders: %s\n", error.what()), 1;
}
