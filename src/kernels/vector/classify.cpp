// Softmax, argmax and one-hot targets. As the definitions in kernels/classify.cpp.
#include "kernels/vector/classify.hpp"

#include "kernels/vector/class_tile.hpp"

namespace pixelwise::PIXELWISE_ISA {
namespace {

// fn(n, y, x, pixels, tile of this thread) for every group of up to `lanes` pixels of a row.
template <class Fn>
[[gnu::always_inline]] inline void for_groups(const ClassifyJob& job, const Arguments& a, const Fn& fn) {
  const Shape shape = a.src[0].view.shape;
  auto* tiles = reinterpret_cast<float*>(a.scratch);
  for_rows(shape, [&](int64_t n, int64_t y, int64_t, int thread) {
    for (int64_t x = 0; x < shape.w; x += lanes)
      fn(n, y, x, shape.w - x < lanes ? shape.w - x : lanes, tiles + thread * job.tile_floats);
  });
}

void softmax(const ClassifyJob& job, const Arguments& a) {
  const View x = a.src[0].view, y = a.dst[0].view;
  const int64_t classes = x.shape.c;
  for_groups(job, a, [&](int64_t n, int64_t i, int64_t j, int64_t pixels, float* tile) {
    gather(x.at<float>(n, i, j), x.pixel_stride, pixels, classes, tile);
    const vfloat factor = broadcast(1) / exponentials(tile, classes);
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
  for_groups(job, a, [&](int64_t n, int64_t i, int64_t j, int64_t pixels, float* tile) {
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

}  // namespace

const ClassifyEntries classify{softmax, softmax_backward, argmax, one_hot, lanes};

}  // namespace pixelwise::PIXELWISE_ISA
