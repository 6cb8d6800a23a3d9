// Softmax, argmax, one-hot targets and pixel-wise cross-entropy. Scores lie pixel by pixel, and classes are few and odd
// in number; so a group of pixels is transposed into a tile with a vector of pixels for each class. As the definitions
// in kernels/classify.cpp and kernels/cross_entropy.cpp.
#include "kernels/vector/classify.hpp"

#include <cmath>

#include "kernels/vector/maps.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// tile[c * lanes + p] = channel c of pixel p, for `pixels` pixels; the others are 0.
[[gnu::always_inline]] inline void gather(const float* from, int64_t pitch, int64_t pixels, int64_t channels,
                                          float* tile) {
  for (int64_t p = 0; p < lanes; ++p) {
    const float* pixel = from + p * pitch;
    if (p < pixels) {
      for (int64_t c = 0; c < channels; ++c) tile[c * lanes + p] = pixel[c];
    } else {
      for (int64_t c = 0; c < channels; ++c) tile[c * lanes + p] = 0;
    }
  }
}
[[gnu::always_inline]] inline void scatter(const float* tile, int64_t pixels, int64_t channels, float* to,
                                           int64_t pitch, Mode mode) {
  for (int64_t p = 0; p < pixels; ++p) {
    float* pixel = to + p * pitch;
    for (int64_t c = 0; c < channels; ++c) pixel[c] = tile[c * lanes + p] + (mode == Mode::add ? pixel[c] : 0);
  }
}

// fn(n, y, x, pixels, tile of this thread, chunk) for every group of up to `lanes` pixels of a row.
template <class Fn>
[[gnu::always_inline]] inline void for_groups(const ClassifyJob& job, const Arguments& a, const Fn& fn) {
  const Shape shape = a.src[0].view.shape;
  auto* tiles = reinterpret_cast<float*>(a.scratch);
  for_rows(shape, [&](int64_t n, int64_t y, int64_t chunk, int thread) {
    for (int64_t x = 0; x < shape.w; x += lanes)
      fn(n, y, x, shape.w - x < lanes ? shape.w - x : lanes, tiles + thread * job.tile_floats, chunk);
  });
}

// Turns the scores of a tile into exp(score - largest) and returns the largest and the sum.
struct Softmax {
  vfloat largest, sum;
};
[[gnu::always_inline]] inline Softmax exponentials(float* tile, int64_t classes) {
  vfloat largest = load(tile);
  for (int64_t c = 1; c < classes; ++c) largest = max(load(tile + c * lanes), largest);
  vfloat sum = zero();
  for (int64_t c = 0; c < classes; ++c) {
    const vfloat e = exp(load(tile + c * lanes) - largest);
    store(tile + c * lanes, e);
    sum += e;
  }
  return {largest, sum};
}

void softmax(const ClassifyJob& job, const Arguments& a) {
  const View x = a.src[0].view, y = a.dst[0].view;
  const int64_t classes = x.shape.c;
  for_groups(job, a, [&](int64_t n, int64_t i, int64_t j, int64_t pixels, float* tile, int64_t) {
    gather(x.at<float>(n, i, j), x.pixel_stride, pixels, classes, tile);
    const vfloat factor = broadcast(1) / exponentials(tile, classes).sum;
    for (int64_t c = 0; c < classes; ++c) store(tile + c * lanes, load(tile + c * lanes) * factor);
    scatter(tile, pixels, classes, y.at<float>(n, i, j), y.pixel_stride, Mode::write);
  });
}

void softmax_backward(const Arguments& a) {
  const View diff_y = a.src[0].view, y = a.src[1].view;
  const Destination diff_x = a.dst[0];
  const int64_t classes = y.shape.c;
  for_rows(y.shape, [&](int64_t n, int64_t i, int64_t, int) {
    for (int64_t j = 0; j < y.shape.w; ++j) {
      const float *g = diff_y.at<float>(n, i, j), *p = y.at<float>(n, i, j);
      vfloat products = zero();
      for (int64_t c = 0; c < classes; c += lanes)
        products = fma(load_some(g + c, classes - c), load_some(p + c, classes - c), products);
      const vfloat sum = broadcast(reduce_add(products));
      for (int64_t c = 0; c < classes; c += lanes)
        put_some(diff_x.view.at<float>(n, i, j) + c,
                 load_some(p + c, classes - c) * (load_some(g + c, classes - c) - sum), classes - c, diff_x.mode);
    }
  });
}

void argmax(const ClassifyJob& job, const Arguments& a) {
  const View x = a.src[0].view, ids = a.dst[0].view;
  const int64_t classes = x.shape.c;
  for_groups(job, a, [&](int64_t n, int64_t i, int64_t j, int64_t pixels, float* tile, int64_t) {
    gather(x.at<float>(n, i, j), x.pixel_stride, pixels, classes, tile);
    vfloat best = load(tile);
    vint id{};
    for (int64_t c = 1; c < classes; ++c) {
      const vfloat score = load(tile + c * lanes);
      id = score > best ? static_cast<int32_t>(c) - vint{} : id;
      best = max(score, best);
    }
    for (int64_t p = 0; p < pixels; ++p) *ids.at<uint8_t>(n, i, j + p) = static_cast<uint8_t>(id[p]);
  });
}

bool one_hot(const OneHotSpec& s, const Arguments& a) {
  const View ids = a.src[0].view, planes = a.dst[0].view;
  int wrong = 0;
  for_rows(planes.shape, [&](int64_t n, int64_t i, int64_t, int) {
    for (int64_t j = 0; j < ids.shape.w; ++j) {
      const int64_t id = *ids.at<uint8_t>(n, i, j);
      float* plane = planes.at<float>(n, i, j);
      for (int64_t c = 0; c < s.classes; c += lanes) store_some(plane + c, zero(), s.classes - c);
      if (id == s.ignore_label) continue;
      if (id < s.classes) {
        plane[id] = 1;
      } else {
        __atomic_store_n(&wrong, 1, __ATOMIC_RELAXED);
      }
    }
  });
  return wrong == 0;
}

// The targets of a group of pixels, class by class: w_c ((1 - s) t_c + s / C sum t).
class Targets {
 public:
  [[gnu::always_inline]] Targets(const ClassifyJob& job, const Arguments& a, float* tile)
      : view_(a.src[1].view),
        weights_(job.loss.class_weights ? a.parameters[0].as<float>() : nullptr),
        tile_(tile),
        classes_(a.src[0].view.shape.c),
        ignore_label_(job.loss.ignore_label),
        keep_(static_cast<float>(1 - job.loss.label_smoothing)),
        smooth_(static_cast<float>(job.loss.label_smoothing / static_cast<double>(classes_))) {}

  /// Reads a group; false where an id is out of range.
  [[gnu::always_inline]] bool read(int64_t n, int64_t y, int64_t x, int64_t pixels) {
    spread_ = zero();
    if (view_.type == Type::f32) {
      gather(view_.at<float>(n, y, x), view_.pixel_stride, pixels, classes_, tile_);
      for (int64_t c = 0; c < classes_; ++c) spread_ += load(tile_ + c * lanes);
      spread_ *= broadcast(smooth_);
      return true;
    }
    bool good = true;
    ids_ = vint{} - 1;  // of no class
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t id = *view_.at<uint8_t>(n, y, x + p);
      if (id == ignore_label_) continue;
      good = good && id < classes_;
      ids_[p] = static_cast<int32_t>(id);
      spread_[p] = smooth_;
    }
    return good;
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

// loss = sum w t (log sum exp(x - m) + m - x) / D; sums over a chunk in double, over the chunks in order.
bool cross_entropy(const ClassifyJob& job, const Arguments& a) {
  const View scores = a.src[0].view;
  const int64_t classes = scores.shape.c, chunks = Rows(scores.shape).chunks();
  auto* sums = reinterpret_cast<double*>(a.scratch + job.sums_offset);
  for (int64_t i = 0; i < 3 * chunks; ++i) sums[i] = 0;
  for_groups(job, a, [&](int64_t n, int64_t y, int64_t x, int64_t pixels, float* tile, int64_t chunk) {
    double* sum_of_chunk = sums + 3 * chunk;
    Targets targets(job, a, tile + classes * lanes);
    if (!targets.read(n, y, x, pixels)) sum_of_chunk[2] = 1;
    gather(scores.at<float>(n, y, x), scores.pixel_stride, pixels, classes, tile);
    vfloat largest = load(tile);
    for (int64_t c = 1; c < classes; ++c) largest = max(load(tile + c * lanes), largest);
    vfloat distance = zero(), weight = zero(), hard = zero();
    for (int64_t c = 0; c < classes; ++c) {
      const vfloat target = targets.at(c);
      distance += target != zero() ? target * (largest - load(tile + c * lanes)) : zero();
      weight += target;
      hard += targets.hard(c);
    }
    const vfloat sum = exponentials(tile, classes).sum;
    for (int64_t p = 0; p < pixels; ++p) {
      sum_of_chunk[1] += hard[p];
      if (weight[p] == 0) continue;
      sum_of_chunk[0] += distance[p] + weight[p] * std::log(static_cast<double>(sum[p]));
    }
  });
  double loss = 0, weight = 0, wrong = 0;
  for (int64_t i = 0; i < chunks; ++i) {
    loss += sums[3 * i];
    weight += sums[3 * i + 1];
    wrong += sums[3 * i + 2];
  }
  double denominator = weight;
  if (job.loss.normalize == LossNormalization::sum) denominator = 1;
  if (job.loss.normalize == LossNormalization::batch) denominator = static_cast<double>(scores.shape.n);
  if (job.loss.shared_denominator) denominator = *a.src[2].view.as<float>();
  *a.dst[0].view.as<float>() = static_cast<float>(denominator == 0 ? 0 : loss / denominator);
  *a.dst[1].view.as<float>() = static_cast<float>(denominator);
  return wrong == 0;
}

// d loss / d x_c = (p_c sum w t - w_c t_c) / D
bool cross_entropy_backward(const ClassifyJob& job, const Arguments& a) {
  const View scores = a.src[0].view;
  const Destination diff = a.dst[0];
  const int64_t classes = scores.shape.c;
  const double denominator = *a.src[2].view.as<float>();
  const vfloat scale = broadcast(static_cast<float>(denominator == 0 ? 0 : *a.src[3].view.as<float>() / denominator));
  int wrong = 0;
  for_groups(job, a, [&](int64_t n, int64_t y, int64_t x, int64_t pixels, float* tile, int64_t) {
    Targets targets(job, a, tile + classes * lanes);
    if (!targets.read(n, y, x, pixels)) __atomic_store_n(&wrong, 1, __ATOMIC_RELAXED);
    gather(scores.at<float>(n, y, x), scores.pixel_stride, pixels, classes, tile);
    const vfloat weight = targets.sum(), factor = weight / exponentials(tile, classes).sum;
    for (int64_t c = 0; c < classes; ++c) {
      const vfloat g = scale * (load(tile + c * lanes) * factor - targets.at(c));
      store(tile + c * lanes, weight == zero() ? zero() : g);
    }
    scatter(tile, pixels, classes, diff.view.at<float>(n, y, x), diff.view.pixel_stride, diff.mode);
  });
  return wrong == 0;
}

int64_t chunks(const Shape& shape) { return Rows(shape).chunks(); }

}  // namespace

const ClassifyEntries classify{softmax,       softmax_backward,       argmax, one_hot,
                               cross_entropy, cross_entropy_backward, chunks, lanes};

}  // namespace pixelwise::PIXELWISE_ISA
