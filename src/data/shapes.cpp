// Scenes drawn by a seeded generator: nothing to download. A class is a shape and a texture; colours are drawn anew for
// every object and background, so that the colour of a pixel says nothing: the network has to look around.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/format.hpp"
#include "data/readers.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"

namespace pixelwise {
namespace {

constexpr double pi = std::numbers::pi;
constexpr int64_t shape_classes = 7;  // as many as preset_class_names("shapes")

// A position relative to an object.
struct Point {
  double u = 0, v = 0;
};

Point turn(const Point& p, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return {c * p.u + s * p.v, c * p.v - s * p.u};
}

// About the distance to the outline of a shape of radius r; negative inside.
double outline(int64_t shape, const Point& p, double r) {
  const double x = std::abs(p.u), y = std::abs(p.v), radius = std::hypot(p.u, p.v);
  switch (shape) {
    case 1:  // disc
      return radius - r;
    case 2:  // square
      return std::max(x, y) - 0.8 * r;
    case 3:  // triangle
      return std::max(x * std::sqrt(3.0) / 2 + p.v / 2, -p.v) - 0.55 * r;
    case 4:  // ring
      return std::abs(radius - 0.72 * r) - 0.28 * r;
    case 5:  // cross
      return std::min(std::max(x - r, y - 0.35 * r), std::max(x - 0.35 * r, y - r));
    default:  // flower of five petals
      return radius - r * (0.72 + 0.28 * std::cos(5 * std::atan2(p.v, p.u)));
  }
}

// How much of the second colour, 0 to 1, by class. t is the period in pixels.
double texture(int64_t shape, const Point& p, double t, double phase) {
  const auto wave = [&](double x) { return 0.5 + 0.5 * std::sin(2 * pi * x / t + phase); };
  const auto step = [](double x) { return x > 0.5 ? 1.0 : 0.0; };
  switch (shape) {
    case 0:  // smooth hills
      return 0.5 * (wave(p.u / 4 + p.v / 9) + wave(p.v / 5 - p.u / 11));
    case 1:  // level stripes
      return step(wave(p.v));
    case 2:  // chequers
      return step(wave(p.u)) == step(wave(p.v)) ? 1 : 0;
    case 3:  // dots
      return wave(p.u) * wave(p.v) > 0.55 ? 1 : 0;
    case 4:  // upright stripes
      return step(wave(p.u));
    case 5:  // slanting stripes
      return step(wave((p.u + p.v) / std::numbers::sqrt2));
    default:  // circles
      return step(wave(std::hypot(p.u, p.v)));
  }
}

struct Paint {
  Colour first, second;
  double period = 6, phase = 0;
};

Paint draw_paint(Random& random) {
  Paint paint;
  int apart = 0;
  while (apart < 150) {  // the two colours can be told apart
    apart = 0;
    for (size_t c = 0; c < 3; ++c) {
      paint.first[c] = static_cast<uint8_t>(20 + random.next_below(216));
      paint.second[c] = static_cast<uint8_t>(20 + random.next_below(216));
      apart += std::abs(paint.first[c] - paint.second[c]);
    }
  }
  paint.period = random.next_uniform(5, 8);
  paint.phase = random.next_uniform(0, 2 * pi);
  return paint;
}

void put(const Paint& paint, double mix, Random& random, uint8_t* pixel) {
  for (size_t c = 0; c < 3; ++c) {
    const double colour = paint.first[c] + mix * (paint.second[c] - paint.first[c]);
    pixel[c] = static_cast<uint8_t>(std::clamp(colour + random.next_uniform(-12, 12), 0.0, 255.0));
  }
}

// An object over what is there: its class inside, void within a pixel of its outline.
void draw_object(Sample& scene, int64_t shape, int64_t ignore_label, Random& random) {
  const double height = static_cast<double>(scene.photo.height), width = static_cast<double>(scene.photo.width);
  const double r = std::min(height, width) * random.next_uniform(0.12, 0.26);
  const double y0 = random.next_uniform(0.1, 0.9) * height, x0 = random.next_uniform(0.1, 0.9) * width;
  const double angle = random.next_uniform(-pi, pi), tilt = random.next_uniform(-0.2, 0.2);
  const Paint paint = draw_paint(random);
  for (int64_t y = 0; y < scene.photo.height; ++y) {
    for (int64_t x = 0; x < scene.photo.width; ++x) {
      const Point p{static_cast<double>(x) - x0, static_cast<double>(y) - y0};
      const double distance = outline(shape, turn(p, angle), r);
      if (distance <= 0)
        put(paint, texture(shape, turn(p, tilt), paint.period, paint.phase), random, scene.photo.at(y, x));
      if (distance <= 1) *scene.mask.at(y, x) = static_cast<uint8_t>(distance < -1 ? shape : ignore_label);
    }
  }
}

class ShapesDataset : public Dataset {
 public:
  ShapesDataset(const std::string& split, int64_t scenes, Size size, const SampleFormat& samples, uint64_t seed)
      : split_(split), scenes_(scenes), size_(size), format_(samples), seed_(seed) {}
  int64_t size() const override { return scenes_; }
  std::string id(int64_t index) const override { return format("{}{:05}", split_, index); }

  Sample read(int64_t index) const override {
    Random random(seed_, "shapes." + split_, 0, 0, static_cast<uint64_t>(index));
    Sample scene{id(index), Image(size_.h, size_.w, 3), Image(size_.h, size_.w, 1)};
    const Paint ground = draw_paint(random);
    for (int64_t y = 0; y < size_.h; ++y) {
      for (int64_t x = 0; x < size_.w; ++x) {
        const Point p{static_cast<double>(x), static_cast<double>(y)};
        put(ground, texture(0, p, ground.period, ground.phase), random, scene.photo.at(y, x));
      }
    }
    const uint64_t objects = 3 + random.next_below(4);
    for (uint64_t i = 0; i < objects; ++i) {
      const int64_t shape = 1 + static_cast<int64_t>(random.next_below(shape_classes - 1));
      draw_object(scene, shape, format_.ignore_label, random);
    }
    if (format_.channels == 1) scene.photo = grey(scene.photo);
    return scene;
  }

 private:
  static Image grey(const Image& photo) {
    Image result(photo.height, photo.width, 1);
    for (size_t i = 0; i < result.pixels.size(); ++i) {
      const uint8_t* rgb = photo.pixels.data() + 3 * i;
      result.pixels[i] = static_cast<uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
    return result;
  }

  std::string split_;
  int64_t scenes_;
  Size size_;
  SampleFormat format_;
  uint64_t seed_;
};

}  // namespace

std::unique_ptr<Dataset> open_shapes(const DataOptions& options, const std::string& split, const std::string& scenes,
                                     const SampleFormat& samples, uint64_t seed) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(scenes.data(), scenes.data() + scenes.size(), count);
  if (error != std::errc() || end != scenes.data() + scenes.size() || count < 1)
    throw UsageError(format("data.{} is '{}'; for the shapes wanted a number of scenes, 1 or more", split, scenes));
  if (samples.classes < shape_classes)
    throw UsageError(format("model.classes is {}; the shapes have {}", samples.classes, shape_classes));
  return std::make_unique<ShapesDataset>(split, count, options.shapes_size, samples, seed);
}

}  // namespace pixelwise
