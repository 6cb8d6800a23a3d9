// Dropout (Srivastava et al. 2014) and dropout of whole maps (Tompson et al. 2015). Element i of an image is kept where
// number i of the image's random stream is >= p; backward draws the same numbers.
#include "kernels/plain.hpp"
#include "kernels/vector/elementwise.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/elementwise.hpp"

namespace pixelwise {
namespace {

Random stream_of(const Arguments& a, int64_t n) {
  return {a.key->seed ^ a.node_key, "dropout", a.key->epoch, a.key->step,
          a.key->first_sample + static_cast<uint64_t>(n)};
}

template <class T>
void dropout(const DropoutSpec& s, const Arguments& a) {
  const View &src = a.src[0].view, &dst = a.dst[0].view;
  const Shape shape = src.shape;
  const double scale = 1 / (1 - s.p);
  for (int64_t n = 0; n < shape.n; ++n) {
    const Random random = stream_of(a, n);
    for (int64_t y = 0; y < shape.h; ++y) {
      for (int64_t x = 0; x < shape.w; ++x) {
        for (int64_t c = 0; c < shape.c; ++c) {
          const int64_t i = s.channels ? c : (y * shape.w + x) * shape.c + c;
          const double kept = s.phase == Phase::inference                      ? 1
                              : random.uniform(static_cast<uint64_t>(i)) < s.p ? 0
                                                                               : scale;
          put(dst.at<T>(n, y, x)[c], kept * value_of(src.at<T>(n, y, x)[c]), a.dst[0].mode);
        }
      }
    }
  }
}

Kernel vector_kernel(const DropoutSpec& spec, const Problem& problem) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) kernel.declined = "it is for f32";
  kernel.scratch_bytes = problem.src[0].shape.n * 8;
  const ElementwiseEntries* run = &elementwise_entries(problem.isa);
  kernel.run = [spec, run](const Arguments& a) {
    if (spec.phase == Phase::inference) return run->copy(a.src[0].view, a.dst[0]);
    auto* keys = reinterpret_cast<uint64_t*>(a.scratch);
    for (int64_t n = 0; n < a.src[0].view.shape.n; ++n) keys[n] = stream_of(a, n).key();
    run->dropout(spec, keys, a);
  };
  return kernel;
}

}  // namespace

Candidates dropout_kernels(const DropoutSpec& spec, const Problem& problem) {
  return {
      vector_kernel(spec, problem),
      definition_for<double, float>(problem.src[0].type, [spec]<class T>(const Arguments& a) { dropout<T>(spec, a); })};
}

}  // namespace pixelwise
