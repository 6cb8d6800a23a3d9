// Monte Carlo dropout (Gal, Ghahramani 2016; Bayesian SegNet: Kendall, Badrinarayanan, Cipolla 2015): what many passes
// with dropout agree on, and where they do not.
#pragma once
#include <vector>

#include "pixelwise/nn/executor.hpp"

namespace pixelwise {

/// Is there dropout in the graph that acts when it runs?
bool has_dropout(const Graph& graph);

/// Of the probabilities of every pixel and class, over passes; height x width x classes, as the network's.
struct Samples {
  Shape shape;
  std::vector<float> mean, variance;  ///< the variance divides by the number of passes

  View mean_view() { return dense_view(mean.data(), Type::f32, shape); }
  View variance_view() { return dense_view(variance.data(), Type::f32, shape); }
};

/// Runs the executor `count` times on the image that it holds. Pass i is that of StepKey{seed, 0, i}: the same seed
/// gives the same samples. The graph keeps `probabilities`.
Samples sample_dropout(Executor& executor, int64_t count, uint64_t seed);

}  // namespace pixelwise
