#include "pixelwise/data/survey.hpp"

#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

// ITU-R BT.601, as image libraries turn colours into grey.
int64_t brightness(const Colour& colour) {
  return std::lround(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]);
}

// Are all ids the brightness of VOC's colours, one of them at least no class?
bool looks_like_grey_palette(const std::array<int64_t, 256>& counts, int64_t classes, int64_t ignore_label) {
  constexpr int64_t voc_classes = 21;
  const std::vector<Colour> palette = voc_palette();
  std::array<bool, 256> grey{};
  for (int64_t id = 0; id < voc_classes; ++id)
    grey[static_cast<size_t>(brightness(palette[static_cast<size_t>(id)]))] = true;
  grey[static_cast<size_t>(brightness(palette[255]))] = true;
  bool outside = false;
  for (int64_t id = 0; id < 256; ++id) {
    if (counts[static_cast<size_t>(id)] == 0 || id == ignore_label) continue;
    if (!grey[static_cast<size_t>(id)]) return false;
    outside |= id >= classes;
  }
  return outside;
}

struct Seen {
  bool read = false;
  Size size;
  std::array<int64_t, 256> counts{};
  std::vector<Finding> findings;
};

std::string where_out_of_range(const Image& mask, int64_t classes, int64_t ignore_label) {
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    const int64_t id = mask.pixels[i];
    if (id < classes || id == ignore_label) continue;
    return format("id {} at pixel (row {}, column {}); wanted 0 to {}, or {} for void", id,
                  static_cast<int64_t>(i) / mask.width, static_cast<int64_t>(i) % mask.width, classes - 1,
                  ignore_label);
  }
  return {};
}

Seen look_at(const Dataset& dataset, int64_t index, int64_t classes, int64_t ignore_label) {
  Seen seen;
  const std::vector<std::string> files = dataset.files(index);
  const std::string in_mask = files.empty() ? "" : files.back() + ": ";
  const auto add = [&](Finding::Kind kind, const std::string& text) {
    seen.findings.push_back({kind, index, dataset.id(index), text});
  };
  Sample sample;
  try {
    sample = dataset.read(index);
  } catch (const DataError& error) {
    add(Finding::Kind::unreadable, error.what());
    return seen;
  }
  seen.read = true;
  seen.size = sample.mask.size();
  for (const uint8_t pixel : sample.mask.pixels) ++seen.counts[pixel];
  const std::string outside = where_out_of_range(sample.mask, classes, ignore_label);
  if (!outside.empty()) add(Finding::Kind::out_of_range, in_mask + outside);
  int64_t ids = 0;
  for (int64_t i = 0; i < 256; ++i) ids += i != ignore_label && seen.counts[static_cast<size_t>(i)] > 0;
  if (looks_like_grey_palette(seen.counts, classes, ignore_label))
    add(Finding::Kind::palette_as_grey,
        in_mask + "its ids are the brightness of VOC's colours; wanted palette indices");
  else if (looks_interpolated(sample.mask, ignore_label))
    add(Finding::Kind::interpolated,
        in_mask + "its ids run smoothly from one class to another; resize masks with nearest");
  else if (ids <= 1)
    add(Finding::Kind::one_class, in_mask + (ids == 0 ? "it is void everywhere" : "it shows one class alone"));
  return seen;
}

void add_to(Survey& sum, Seen&& seen, int64_t ignore_label) {
  const bool usable = std::none_of(seen.findings.begin(), seen.findings.end(),
                                   [](const Finding& finding) { return finding.stops_training(); });
  std::move(seen.findings.begin(), seen.findings.end(), std::back_inserter(sum.findings));
  if (!seen.read) return;
  const bool first = sum.read++ == 0;
  sum.smallest = first ? seen.size : Size{std::min(sum.smallest.h, seen.size.h), std::min(sum.smallest.w, seen.size.w)};
  sum.largest = {std::max(sum.largest.h, seen.size.h), std::max(sum.largest.w, seen.size.w)};
  if (!usable) return;
  const int64_t all = seen.size.h * seen.size.w;
  const int64_t none = ignore_label >= 0 && ignore_label < 256 ? seen.counts[static_cast<size_t>(ignore_label)] : 0;
  sum.all_pixels += all;
  sum.void_pixels += none;
  for (int64_t id = 0; id < 256; ++id) {
    const int64_t count = seen.counts[static_cast<size_t>(id)];
    if (count == 0 || id == ignore_label) continue;
    sum.pixels[static_cast<size_t>(id)] += count;
    sum.around[static_cast<size_t>(id)] += all - none;
    ++sum.shown[static_cast<size_t>(id)];
  }
}

}  // namespace

bool looks_interpolated(const Image& mask, int64_t ignore_label) {
  int64_t outline = 0, between = 0;
  const auto at = [&](int64_t y, int64_t x) { return static_cast<int64_t>(*mask.at(y, x)); };
  const auto inside = [](int64_t low, int64_t id, int64_t high) {
    return (low < id && id < high) || (high < id && id < low);
  };
  for (int64_t y = 1; y + 1 < mask.height; ++y) {
    for (int64_t x = 1; x + 1 < mask.width; ++x) {
      const int64_t id = at(y, x), up = at(y - 1, x), down = at(y + 1, x), left = at(y, x - 1), right = at(y, x + 1);
      if (id == up && id == down && id == left && id == right) continue;
      ++outline;
      const bool alone = id != up && id != down && id != left && id != right;
      between += alone && id != ignore_label && (inside(up, id, down) || inside(left, id, right));
    }
  }
  return between >= 10 && 50 * between >= outline;
}

Survey survey(const Dataset& dataset, int64_t classes, int64_t ignore_label, const std::function<void(int64_t)>& done) {
  constexpr int64_t block = 64;  // between two calls of done
  Survey sum;
  sum.samples = dataset.size();
  for (int64_t first = 0; first < sum.samples; first += block) {
    const int64_t count = std::min(block, sum.samples - first);
    std::vector<Seen> seen(static_cast<size_t>(count));
    parallel_for(count, [&](int64_t i, int) {
      seen[static_cast<size_t>(i)] = look_at(dataset, first + i, classes, ignore_label);
    });
    for (Seen& one : seen) add_to(sum, std::move(one), ignore_label);
    if (done) done(first + count);
  }
  return sum;
}

std::vector<double> median_frequency_weights(const Survey& survey, int64_t classes) {
  std::vector<double> weights(static_cast<size_t>(classes)), present;
  for (size_t c = 0; c < weights.size(); ++c) {
    if (survey.pixels[c] == 0) continue;
    weights[c] = static_cast<double>(survey.pixels[c]) / static_cast<double>(survey.around[c]);  // f_c, for now
    present.push_back(weights[c]);
  }
  if (present.empty()) return {};
  std::sort(present.begin(), present.end());
  const size_t middle = present.size() / 2;
  const double median = present.size() % 2 ? present[middle] : (present[middle - 1] + present[middle]) / 2;
  for (double& weight : weights) weight = weight > 0 ? median / weight : 0;
  return weights;
}

}  // namespace pixelwise
