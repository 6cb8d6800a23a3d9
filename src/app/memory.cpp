#include "app/memory.hpp"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>

#include "core/format.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {
namespace {

constexpr int64_t crop_step = 16;  // crops that are suggested have sides of multiples of it
constexpr int64_t stack = int64_t{8} << 20, reserve = int64_t{16} << 20;

double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// Optimisers keep this many numbers for each trained one.
int64_t states_of(const OptimizerOptions& options) {
  if (options.name != "sgd") return 2;
  return options.momentum > 0 ? 1 : 0;
}

// What the loader and the trainer hold, besides a little for photos at their own size, previews and samples.
int64_t loading_memory(const Config& config, Size size) {
  const int64_t batch = config.train.batch_size * size.h * size.w * (config.model.in_channels + 1);
  const int64_t batches = config.data.workers + 1 + config.train.accumulate;
  return batches * batch + (config.data.workers + thread_count()) * stack + reserve;
}

// The largest of 1 ... most whose training fits, given that smaller ones need less; 0: none does.
template <class Fits>
int64_t largest(int64_t most, const Fits& fits) {
  int64_t low = 0, high = most + 1;  // low fits, high does not
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

// The crop whose longer side has `parts` steps, in about the proportions of `size`.
Size part_of(Size size, int64_t parts) {
  const int64_t all = std::max(size.h, size.w) / crop_step;
  const auto side = [&](int64_t extent) { return std::max<int64_t>(1, extent * parts / all / crop_step) * crop_step; };
  return {side(size.h), side(size.w)};
}

Config with_batch(Config config, int64_t batch) {
  config.train.batch_size = batch;
  return config;
}

int64_t memory_of(const Config& config, Size size, Size photo) {
  try {
    return training_memory(config, size, photo).total();
  } catch (const UsageError&) {  // the model takes no crop this small
    return std::numeric_limits<int64_t>::max();
  }
}

// The smaller batches and crops that fit, each with what it needs then; empty: there are none.
std::string smaller_that_fits(const Config& config, Size size, Size photo, int64_t available) {
  const auto need = [&](const Config& c, Size s) { return memory_of(c, s, photo); };
  const int64_t crops = std::max(size.h, size.w) / crop_step - 1;
  const auto largest_crop = [&](const Config& c) {
    return largest(crops, [&](int64_t parts) { return need(c, part_of(size, parts)) <= available; });
  };
  const auto crop_text = [&](const Config& c, int64_t parts) {
    const Size crop = part_of(size, parts);
    return format("augment.crop=[{},{}] ({:.1f} MiB)", crop.h, crop.w, mib(need(c, crop)));
  };
  std::string text;
  const int64_t batch =
      largest(config.train.batch_size - 1, [&](int64_t n) { return need(with_batch(config, n), size) <= available; });
  if (batch > 0) text = format("train.batch_size={} ({:.1f} MiB)", batch, mib(need(with_batch(config, batch), size)));
  if (const int64_t parts = largest_crop(config); parts > 0)
    text += (text.empty() ? "" : ", or ") + crop_text(config, parts);
  if (!text.empty()) return text;
  const Config single = with_batch(config, 1);
  const int64_t parts = largest_crop(single);
  return parts > 0 ? "train.batch_size=1 with " + crop_text(single, parts) : "";
}

// The settings that make the training fit; first the one that changes no bits.
std::string what_fits(Config config, Size size, Size photo, int64_t available) {
  std::string text = smaller_that_fits(config, size, photo, available);
  config.train.recompute = "all";
  const int64_t need = memory_of(config, size, photo);
  if (need > available) return text;
  return format("train.recompute=all ({:.1f} MiB)", mib(need)) + (text.empty() ? "" : ", or ") + text;
}

}  // namespace

void share_one_heap() {
#ifdef M_ARENA_MAX  // of glibc
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
#endif
}

TrainingMemory training_memory(const Config& config, Size size, Size photo) {
  const Graph graph = training_graph(config, size);
  TrainingMemory memory;
  memory.loading = loading_memory(config, size);
  memory.arena = make_plan(graph, graph.all(), precision_of(config)).arena_bytes;
  if (photo.h * photo.w > 0) {
    const Shape shape{1, photo.h, photo.w, config.model.in_channels};
    const Precision precision = precision_of(config);
    const Graph inference =
        inference_graph(model_spec(config), shape, {.scores = true}, precision);  // as samples.png wants it
    memory.validation = make_plan(inference, inference.all(), precision).arena_bytes;
  }
  for (const Value& value : graph.values) {
    if (value.storage == Storage::arena) continue;
    const bool trained = value.storage == Storage::parameter && !value.frozen;
    memory.parameters += value.shape.count() * size_of(value.type) * (trained ? 1 + states_of(config.optimizer) : 1);
  }
  return memory;
}

std::string memory_shortage(const Config& config, Size size, Size photo, int64_t available) {
  const TrainingMemory needed = training_memory(config, size, photo);
  if (needed.total() <= available) return "";
  const std::string fitting = what_fits(config, size, photo, available);
  return format(
      "the training needs {:.1f} MiB of memory (arena {:.1f}, in validation {:.1f}, parameters and optimiser {:.1f}, "
      "loading {:.1f}), {:.1f} MiB are available. {}",
      mib(needed.total()), mib(needed.arena), mib(needed.validation), mib(needed.parameters), mib(needed.loading),
      mib(available),
      fitting.empty() ? "No smaller batch or crop fits: use a smaller model, or smaller photos (data.resize)"
                      : "What fits: " + fitting);
}

}  // namespace pixelwise
