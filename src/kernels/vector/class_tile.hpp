// Scores lie pixel by pixel, and classes are few and odd in number; so the kernels from scores to classes work on a
// tile: a group of up to `lanes` pixels, transposed to a vector of pixels for each class.
#pragma once
#include "kernels/vector/classify.hpp"
#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// tile[c * lanes + p] = channel c of pixel p, for `pixels` pixels; the others are 0. pixel(p, c): `lanes` channels of
/// pixel p, from channel c.
template <class Fn>
[[gnu::always_inline]] inline void transpose_pixels(int64_t pixels, int64_t channels, float* tile, const Fn& pixel) {
  for (int64_t c = 0; c < channels; c += lanes) {
    vfloat block[lanes];
    for (int64_t p = 0; p < lanes; ++p) block[p] = p < pixels ? pixel(p, c) : zero();
    transpose(block);
    const int64_t rest = channels - c < lanes ? channels - c : lanes;
    for (int64_t i = 0; i < rest; ++i) store(tile + (c + i) * lanes, block[i]);
  }
}
/// The inverse: take(p, c, v) is given channels [c, c + lanes) of every pixel of a tile.
template <class Fn>
[[gnu::always_inline]] inline void transpose_tile(const float* tile, int64_t pixels, int64_t channels, const Fn& take) {
  for (int64_t c = 0; c < channels; c += lanes) {
    vfloat block[lanes];
    for (int64_t i = 0; i < lanes; ++i) block[i] = c + i < channels ? load(tile + (c + i) * lanes) : zero();
    transpose(block);
    for (int64_t p = 0; p < pixels; ++p) take(p, c, block[p]);
  }
}

[[gnu::always_inline]] inline void gather(const float* from, int64_t pitch, int64_t pixels, int64_t channels,
                                          float* tile) {
  transpose_pixels(pixels, channels, tile,
                   [&](int64_t p, int64_t c) { return load_some(from + p * pitch + c, channels - c); });
}
[[gnu::always_inline]] inline void scatter(const float* tile, int64_t pixels, int64_t channels, float* to,
                                           int64_t pitch, Mode mode) {
  transpose_tile(tile, pixels, channels,
                 [&](int64_t p, int64_t c, vfloat v) { put_some(to + p * pitch + c, v, channels - c, mode); });
}

/// The largest score of each pixel of a tile.
[[gnu::always_inline]] inline vfloat largest_score(const float* tile, int64_t classes) {
  vfloat largest = load(tile);
  for (int64_t c = 1; c < classes; ++c) largest = max(load(tile + c * lanes), largest);
  return largest;
}
/// Turns the scores of a tile into exp(score - largest); returns their sum.
[[gnu::always_inline]] inline vfloat exponentials(float* tile, int64_t classes) {
  const vfloat largest = largest_score(tile, classes);
  vfloat sum = zero();
  for (int64_t c = 0; c < classes; ++c) {
    const vfloat e = exp(load(tile + c * lanes) - largest);
    store(tile + c * lanes, e);
    sum += e;
  }
  return sum;
}

/// The targets of a group of pixels, class by class: w_c ((1 - s) t_c + s / C sum t).
class Targets {
 public:
  /// `targets` and `weights` are the loss's operands; `tile` is for one-hot or soft targets.
  [[gnu::always_inline]] Targets(const SoftmaxCrossEntropySpec& spec, int64_t classes, const Arguments& a, float* tile)
      : view_(a.src[1].view),
        weights_(spec.class_weights ? a.parameters[0].as<float>() : nullptr),
        tile_(tile),
        classes_(classes),
        ignore_label_(spec.ignore_label),
        keep_(static_cast<float>(1 - spec.label_smoothing)),
        smooth_(static_cast<float>(spec.label_smoothing / static_cast<double>(classes))) {}

  /// Reads a group; false where an id is out of range.
  [[gnu::always_inline]] bool read(int64_t n, int64_t y, int64_t x, int64_t pixels) {
    if (view_.type == Type::u8) return read_ids(n, y, x, pixels);
    spread_ = zero();
    gather(view_.at<float>(n, y, x), view_.pixel_stride, pixels, classes_, tile_);
    for (int64_t c = 0; c < classes_; ++c) spread_ += load(tile_ + c * lanes);
    spread_ *= broadcast(smooth_);
    return true;
  }
  [[gnu::always_inline]] vfloat at(int64_t c) const { return weighted(fma(target(c), broadcast(keep_), spread_), c); }
  /// w_c t_c: before smoothing.
  [[gnu::always_inline]] vfloat hard(int64_t c) const { return weighted(target(c), c); }
  [[gnu::always_inline]] vfloat sum() const {
    vfloat total = zero();
    for (int64_t c = 0; c < classes_; ++c) total += at(c);
    return total;
  }

 private:
  [[gnu::always_inline]] bool read_ids(int64_t n, int64_t y, int64_t x, int64_t pixels) {
    alignas(vector_bytes) int32_t ids[lanes];
    int wrong = 0;
    for (int64_t p = 0; p < lanes; ++p) {
      const int64_t id = p < pixels ? *view_.at<uint8_t>(n, y, x + p) : ignore_label_;
      ids[p] = id == ignore_label_ ? -1 : static_cast<int32_t>(id);  // -1: of no class
      wrong |= ids[p] >= classes_;
    }
    std::memcpy(&ids_, ids, sizeof ids_);
    spread_ = ids_ >= vint{} ? broadcast(smooth_) : zero();
    return wrong == 0;
  }
  [[gnu::always_inline]] vfloat target(int64_t c) const {
    if (view_.type == Type::f32) return load(tile_ + c * lanes);
    return ids_ == (static_cast<int32_t>(c) - vint{}) ? broadcast(1) : zero();
  }
  [[gnu::always_inline]] vfloat weighted(vfloat target, int64_t c) const {
    return weights_ ? target * broadcast(weights_[c]) : target;
  }

  View view_;
  const float* weights_;
  float* tile_;
  int64_t classes_, ignore_label_;
  float keep_, smooth_;
  vint ids_{};
  vfloat spread_{};  // s / C sum t
};

}  // namespace pixelwise::PIXELWISE_ISA
