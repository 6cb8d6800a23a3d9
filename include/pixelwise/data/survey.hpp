// What the masks of a whole data set hold: counted before anyone trains on them.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "pixelwise/data/dataset.hpp"

namespace pixelwise {

/// A sample that somebody should look at.
struct Finding {
  enum class Kind {
    unreadable,       ///< photo or mask cannot be read: training would stop
    out_of_range,     ///< an id that is neither a class nor void: training would stop
    palette_as_grey,  ///< its ids are the brightness of VOC's colours: a colour mask that was read as grey
    interpolated,     ///< its ids run smoothly from one class to another: it was resized as if it were a photo
    one_class,        ///< it shows one class alone
  };
  Kind kind;
  int64_t index = 0;  ///< of the sample
  std::string sample, text;

  /// Would training stop at it?
  bool stops_training() const { return kind == Kind::unreadable || kind == Kind::out_of_range; }
};

struct Survey {
  int64_t samples = 0, read = 0;  ///< in the list; without those that cannot be read
  Size smallest, largest;         ///< least and greatest height and width
  // Of the samples that can be trained on:
  int64_t void_pixels = 0, all_pixels = 0;
  std::array<int64_t, 256> pixels{};  ///< of each id
  std::array<int64_t, 256> around{};  ///< pixels, without void, of the samples that show the id
  std::array<int64_t, 256> shown{};   ///< samples that show it
  std::vector<Finding> findings;      ///< in the order of the samples
};

/// Reads every sample, on all threads; `done` is told how many are read. The dataset must have been opened for 256
/// classes where ids that are out of range are to be found rather than thrown.
Survey survey(const Dataset& dataset, int64_t classes, int64_t ignore_label,
              const std::function<void(int64_t)>& done = {});

/// The same, out of the user's cache (XDG_CACHE_HOME or ~/.cache, folder pixelwise) where `view` (how the files are
/// looked at), the samples, and every file (which it is, its size and time of change) are those of the survey that was
/// kept.
Survey cached_survey(const Dataset& dataset, int64_t classes, int64_t ignore_label, const std::string& view,
                     const std::function<void(int64_t)>& done = {});

/// Class weights by median frequency: w_c = median of all f / f_c, f_c = pixels of c / pixels of the samples that show
/// c (Eigen, Fergus 2015, section 6.3.2); 0 for a class that does not occur. Empty where none does.
std::vector<double> median_frequency_weights(const Survey& survey, int64_t classes);

/// Is this the trace of interpolation: at least ten pixels, and one in fifty of those on an outline, lie alone and
/// strictly between two opposite neighbours?
bool looks_interpolated(const Image& mask, int64_t ignore_label);

}  // namespace pixelwise
