#include "app/sampling.hpp"

#include <algorithm>

#include "pixelwise/core/parallel.hpp"

namespace pixelwise {

bool has_dropout(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    const auto* dropout = std::get_if<DropoutSpec>(&node.spec);
    return dropout && dropout->p > 0 && dropout->phase == Phase::training;
  });
}

// Welford 1962, "Note on a method for calculating corrected sums of squares and products": equal values have variance 0
// to the bit.
Samples sample_dropout(Executor& executor, int64_t count, uint64_t seed) {
  const View probabilities = executor.view("probabilities");
  Samples samples{probabilities.shape, {}, {}};
  samples.mean.resize(static_cast<size_t>(samples.shape.count()));
  samples.variance.resize(samples.mean.size());
  const int64_t row = samples.shape.w * samples.shape.c;
  for (int64_t i = 0; i < count; ++i) {
    executor.run({seed, 0, static_cast<uint64_t>(i)});
    const auto number = static_cast<float>(i + 1);
    parallel_for(samples.shape.h, [&](int64_t y, int) {
      const float* p = probabilities.at<float>(0, y, 0);
      float* mean = samples.mean.data() + y * row;
      float* sum_of_squares = samples.variance.data() + y * row;
      for (int64_t k = 0; k < row; ++k) {
        const float before = p[k] - mean[k];
        mean[k] += before / number;
        sum_of_squares[k] += before * (p[k] - mean[k]);
      }
    });
  }
  for (float& value : samples.variance) value /= static_cast<float>(count);
  return samples;
}

}  // namespace pixelwise
