// Activation, add, copies (of crops, borders, slices) and dropout, a vector at a time. As the definitions in
// kernels/elementwise.cpp and kernels/dropout.cpp.
#include "kernels/vector/elementwise.hpp"

#include "core/splitmix.hpp"
#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// act(scale * x + shift + residual), with the same operations as a batch norm.
void normalised_activation(const ActivationSpec& s, const Arguments& a) {
  const View x = a.src[0].view, residual = a.epilogue.residual;
  const Destination y = a.dst[0];
  const float *scale = a.src[0].scale.as<float>(), *shift = a.src[0].shift.as<float>();
  const Activation act = s.function;
  const Writer write(y);
  for_runs(x.shape, false, [&](int64_t n, int64_t i, int64_t j, int64_t count) {
    const float* from = x.at<float>(n, i, j);
    float* to = y.view.at<float>(n, i, j);
    for (int64_t c = 0; c < count; c += lanes) {
      const int64_t left = count - c;
      vfloat scaled = fma(load_some(from + c, left), load_some(scale + c, left), load_some(shift + c, left));
      if (residual) scaled += load_some(residual.at<float>(n, i, j) + c, left);
      write(to + c, activate(scaled, act), left);
    }
  });
}

void activation(const ActivationSpec& s, const Arguments& a) {
  if (a.src[0].scale) return normalised_activation(s, a);
  const View x = a.src[0].view;
  const Destination y = a.dst[0];
  const Activation act = s.function;
  const Writer write(y);
  for_runs(x.shape, joined(x) && joined(y.view), [&](int64_t n, int64_t i, int64_t j, int64_t count) {
    const float* from = x.at<float>(n, i, j);
    float* to = y.view.at<float>(n, i, j);
    for (int64_t k = 0; k < count; k += lanes) write(to + k, activate(load_some(from + k, count - k), act), count - k);
  });
}

void activation_backward(const ActivationSpec& s, const Arguments& a) {
  const View diff_y = a.src[0].view, y = a.src[1].view;
  const Destination diff_x = a.dst[0];
  const Activation act = s.function;
  const bool all_joined = joined(diff_y) && joined(y) && joined(diff_x.view);
  const Writer write(diff_x);
  for_runs(y.shape, all_joined, [&](int64_t n, int64_t i, int64_t j, int64_t count) {
    const float *g = diff_y.at<float>(n, i, j), *out = y.at<float>(n, i, j);
    float* to = diff_x.view.at<float>(n, i, j);
    for (int64_t k = 0; k < count; k += lanes)
      write(to + k, gated(load_some(g + k, count - k), load_some(out + k, count - k), act), count - k);
  });
}

void add(const Arguments& a) {
  const Destination y = a.dst[0];
  const auto sources = static_cast<int64_t>(a.src.size());
  const Source* src = &a.src[0];
  bool all_joined = joined(y.view);
  for (int64_t i = 0; i < sources; ++i) all_joined = all_joined && joined(src[i].view);
  const Activation act = a.epilogue.act;
  const Writer write(y);
  for_runs(y.view.shape, all_joined, [&](int64_t n, int64_t i, int64_t j, int64_t count) {
    float* to = y.view.at<float>(n, i, j);
    for (int64_t k = 0; k < count; k += lanes) {
      vfloat sum = load_some(src[0].view.at<float>(n, i, j) + k, count - k);
      for (int64_t s = 1; s < sources; ++s) sum += load_some(src[s].view.at<float>(n, i, j) + k, count - k);
      write(to + k, activate(sum, act), count - k);
    }
  });
}

void copy(const View& src, const Destination& dst) {
  const Writer write(dst);
  for_runs(src.shape, joined(src) && joined(dst.view), [&](int64_t n, int64_t i, int64_t j, int64_t count) {
    const float* from = src.at<float>(n, i, j);
    float* to = dst.view.at<float>(n, i, j);
    for (int64_t k = 0; k < count; k += lanes) write(to + k, load_some(from + k, count - k), count - k);
  });
}

void fill(const View& dst, float value) {
  for_runs(dst.shape, joined(dst), [&](int64_t n, int64_t i, int64_t j, int64_t count) {
    float* to = dst.at<float>(n, i, j);
    for (int64_t k = 0; k < count; k += lanes) store_some(to + k, broadcast(value), count - k);
  });
}

// A number is uniform in [0, 1) in steps of 2^-53; it is kept where it is >= p.
void dropout(const DropoutSpec& s, const uint64_t* keys, const Arguments& a) {
  const View src = a.src[0].view;
  const Destination dst = a.dst[0];
  const double threshold = s.p * 0x1p53;
  auto least = static_cast<uint64_t>(threshold);
  if (static_cast<double>(least) < threshold) ++least;
  const auto scale = static_cast<float>(1 / (1 - s.p));
  const bool channels = s.channels, add = dst.mode == Mode::add;
  const int64_t width = src.shape.w, c = src.shape.c;
  for_runs(src.shape, !channels && joined(src) && joined(dst.view),
           [&](int64_t n, int64_t i, int64_t j, int64_t count) {
             const uint64_t key = keys[n];
             const uint64_t first = channels ? 0 : static_cast<uint64_t>((i * width + j) * c);
             const float* from = src.at<float>(n, i, j);
             float* to = dst.view.at<float>(n, i, j);
             for (int64_t k = 0; k < count; ++k) {
               const bool kept = splitmix::number(key, first + static_cast<uint64_t>(k)) >> 11 >= least;
               const float value = kept ? scale * from[k] : 0 * from[k];
               to[k] = add ? to[k] + value : value;
             }
           });
}

}  // namespace

const ElementwiseEntries elementwise{activation, activation_backward, add, copy, fill, dropout};

}  // namespace pixelwise::PIXELWISE_ISA
