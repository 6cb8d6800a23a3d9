// Softmax, argmax and one-hot targets: the definitions and the selection.
#include "pixelwise/kernels/classify.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/plain.hpp"
#include "kernels/vector/classify.hpp"

namespace pixelwise {
namespace {

// p_c = exp(x_c - max) / sum_k exp(x_k - max)
template <class T>
void softmax(const Arguments& a) {
  const View &x = a.src[0].view, &y = a.dst[0].view;
  const int64_t classes = x.shape.c;
  for_each_pixel(x.shape, [&](int64_t n, int64_t i, int64_t j) {
    const T* scores = x.at<T>(n, i, j);
    const double largest = *std::max_element(scores, scores + classes);
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(scores[c] - largest);
    for (int64_t c = 0; c < classes; ++c) y.at<T>(n, i, j)[c] = element_of<T>(std::exp(scores[c] - largest) / sum);
  });
}

// diff_x_c = p_c (diff_y_c - sum_k p_k diff_y_k)
template <class T>
void softmax_backward(const Arguments& a) {
  const View &diff_y = a.src[0].view, &y = a.src[1].view, &diff_x = a.dst[0].view;
  for_each_pixel(y.shape, [&](int64_t n, int64_t i, int64_t j) {
    const T *g = diff_y.at<T>(n, i, j), *p = y.at<T>(n, i, j);
    double sum = 0;
    for (int64_t c = 0; c < y.shape.c; ++c) sum += value_of(p[c]) * value_of(g[c]);
    for (int64_t c = 0; c < y.shape.c; ++c) put(diff_x.at<T>(n, i, j)[c], p[c] * (g[c] - sum), a.dst[0].mode);
  });
}

template <class T>
void argmax(const Arguments& a) {
  const View &x = a.src[0].view, &ids = a.dst[0].view;
  for_each_pixel(x.shape, [&](int64_t n, int64_t i, int64_t j) {
    const T* scores = x.at<T>(n, i, j);
    *ids.at<uint8_t>(n, i, j) = static_cast<uint8_t>(std::max_element(scores, scores + x.shape.c) - scores);
  });
}

template <class T>
void one_hot(const OneHotSpec& s, const Arguments& a) {
  const View &ids = a.src[0].view, &planes = a.dst[0].view;
  for_each_pixel(ids.shape, [&](int64_t n, int64_t i, int64_t j) {
    const int64_t id = *ids.at<uint8_t>(n, i, j);
    T* plane = planes.at<T>(n, i, j);
    std::fill_n(plane, s.classes, element_of<T>(0));
    if (id == s.ignore_label) return;
    if (id >= s.classes)
      throw DataError(format("class id {} at pixel ({}, {}) of image {} of the batch: wanted 0 to {} or {} (void)", id,
                             j, i, n, s.classes - 1, s.ignore_label));
    plane[id] = element_of<T>(1);
  });
}

// The kernel `vector` for f32: run(entries, job, arguments), with a tile of scores for each thread.
template <class Run>
Kernel vector_kernel(const Problem& problem, Run run) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) kernel.declined = "it is for f32";
  const ClassifyEntries& e = classify_entries(problem.isa);
  const ClassifyJob job{e.lanes * problem.src[0].shape.c};
  kernel.scratch_bytes = problem.threads * job.tile_floats * 4;
  kernel.run = [run, job, &e](const Arguments& a) { run(e, job, a); };
  return kernel;
}

// Whatever the vector kernel finds wrong, the definition finds again, and says where.
Kernel vector_one_hot(const OneHotSpec& spec, const Problem& problem, const Kernel& definition) {
  Kernel kernel{"vector"};
  if (problem.dst[0].type != Type::f32) kernel.declined = "it is for f32";
  kernel.run = [spec, run = classify_entries(problem.isa).one_hot, describe = definition.run](const Arguments& a) {
    if (!run(spec, a)) describe(a);
  };
  return kernel;
}

}  // namespace

Candidates softmax_kernels(const SoftmaxSpec&, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {
      vector_kernel(problem, [forward](const ClassifyEntries& e, const ClassifyJob& job,
                                       const Arguments& a) { forward ? e.softmax(job, a) : e.softmax_backward(a); }),
      definition_for<double, float>(problem.src[0].type, [forward]<class T>(const Arguments& a) {
        forward ? softmax<T>(a) : softmax_backward<T>(a);
      })};
}

Candidates argmax_kernels(const ArgmaxSpec&, const Problem& problem) {
  return {vector_kernel(problem,
                        [](const ClassifyEntries& e, const ClassifyJob& job, const Arguments& a) { e.argmax(job, a); }),
          definition_for<double, float>(problem.src[0].type, []<class T>(const Arguments& a) { argmax<T>(a); })};
}

Candidates one_hot_kernels(const OneHotSpec& spec, const Problem& problem) {
  const Kernel definition =
      definition_for<double, float>(problem.dst[0].type, [spec]<class T>(const Arguments& a) { one_hot<T>(spec, a); });
  return {vector_one_hot(spec, problem, definition), definition};
}

}  // namespace pixelwise
