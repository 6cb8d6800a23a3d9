#include <algorithm>
#include <cmath>
#include <filesystem>

#include "app/guided_filter.hpp"
#include "app/portrait.hpp"
#include "app/weights_of_run.hpp"
#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

constexpr int64_t usual_side = 513;  // photos are shrunk by a whole factor to about the size of the training's

std::vector<size_t> subject_classes(const PortraitArguments& arguments, const std::vector<std::string>& names) {
  std::vector<size_t> classes;
  for (const std::string& wanted : arguments.classes) {
    const auto found = std::find(names.begin(), names.end(), wanted);
    if (found == names.end())
      throw UsageError(format("--class {}: the model has no such class; it has {}", wanted, fmt::join(names, ", ")));
    classes.push_back(static_cast<size_t>(found - names.begin()));
  }
  return classes;
}

// The probability of the subject's classes together.
Plane subject_of(const View& probabilities, const std::vector<size_t>& classes) {
  Plane mask(probabilities.shape.size());
  for (int64_t y = 0; y < mask.size.h; ++y) {
    for (int64_t x = 0; x < mask.size.w; ++x) {
      for (const size_t c : classes) mask.at(y, x) += probabilities.at<float>(0, y, x)[c];
    }
  }
  return mask;
}

void write_mask(const std::string& path, const Plane& mask) {
  Image image(mask.size.h, mask.size.w, 1);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(std::lround(255 * mask.values[i]));
  write_png(path, image);
}

// Values below low become 0, above high 1.
void stretch(Plane& mask, float low, float high) {
  for (float& value : mask.values) value = std::clamp((value - low) / (high - low), 0.F, 1.F);
}

// Twice: the first pass finds the photo's edge where the network was not sure, the second follows it closely.
Plane refine(Plane mask, const Image& small, const Image& photo, int64_t factor) {
  constexpr double epsilon = 1e-4;
  const auto side = static_cast<double>(std::max(small.height, small.width));
  mask = guided_filter(small, mask, std::lround(side / 40), epsilon).on(small);
  stretch(mask, 0.3F, 0.7F);
  mask = guided_filter(small, mask, std::lround(side / 100), epsilon).on(photo, factor);
  stretch(mask, 0.2F, 0.8F);
  return mask;
}

void check_paths(const PortraitArguments& a) {
  if (a.run.empty() == a.weights.empty()) throw UsageError("give --weights FILE or --run DIR");
  for (const std::string& out : {a.out, a.mask}) {
    if (out.empty()) continue;
    if (fs::path(out).extension() != ".png")
      throw UsageError(format("{}: a portrait is written as PNG: NAME.png", out));
    if (fs::weakly_canonical(out) == fs::weakly_canonical(a.photo))
      throw UsageError(format("{} would overwrite the photo", out));
  }
  if (!a.mask.empty() && fs::weakly_canonical(a.mask) == fs::weakly_canonical(a.out))
    throw UsageError(format("--mask {} would overwrite the portrait", a.mask));
}

}  // namespace

int portrait_command(const PortraitArguments& arguments) {
  check_paths(arguments);
  TrainedModel model(arguments.run.empty() ? arguments.weights : weights_of_run(arguments.run));
  const std::vector<size_t> classes = subject_classes(arguments, model.class_names());
  const Image photo = read_photo(arguments.photo);
  const auto longest = static_cast<double>(std::max(photo.height, photo.width));
  const int64_t factor = std::max<int64_t>(1, std::lround(longest / usual_side));
  const Image small = shrink(photo, factor);

  const int64_t channels = model.config().model.in_channels;
  Executor executor = model.maker({false, true})({1, small.height, small.width, channels});
  const Image seen = channels == 3 ? small : shrink(read_photo(arguments.photo, channels), factor);
  write_input(seen, model.config().model.normalize, executor.view("image"), 0);
  executor.run();
  const Plane subject = subject_of(executor.view("probabilities"), classes);
  const float best = *std::max_element(subject.values.begin(), subject.values.end());
  if (best < 0.5F)
    throw DataError(format("{}: no pixel shows {} (the most likely one, by {:.2f}); --class names another subject",
                           arguments.photo, fmt::join(arguments.classes, " or "), best));

  const Plane mask = refine(subject, small, photo, factor);
  const double largest_radius = arguments.blur / 100 * longest;
  write_png(arguments.out, blur_background(photo, mask, defocus(subject), factor, largest_radius));
  if (!arguments.mask.empty()) write_mask(arguments.mask, mask);
  return 0;
}

}  // namespace pixelwise
