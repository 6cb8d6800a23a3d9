// Activation, add, concat, crop, pad, cast and the weighted sum of losses: the definitions and the selection.
#include "pixelwise/kernels/elementwise.hpp"

#include "kernels/plain.hpp"
#include "kernels/vector/elementwise.hpp"

namespace pixelwise {
namespace {

// dst(n, y + top, x + left) = src(n, y, x) for all pixels of src, at channel `to` of dst.
template <class From, class To>
void copy(const View& src, const Destination& dst, int64_t top = 0, int64_t left = 0, int64_t from = 0, int64_t to = 0,
          int64_t channels = -1) {
  if (channels < 0) channels = src.shape.c;
  for_each_pixel(src.shape, [&](int64_t n, int64_t y, int64_t x) {
    const From* s = src.at<From>(n, y, x) + from;
    To* d = dst.view.at<To>(n, y + top, x + left) + to;
    for (int64_t c = 0; c < channels; ++c) put(d[c], value_of(s[c]), dst.mode);
  });
}

template <class T>
void activation(const ActivationSpec& s, const Arguments& a) {
  const View &x = a.src[0].view, &y = a.dst[0].view, &scale = a.src[0].scale, &shift = a.src[0].shift;
  for_each_pixel(x.shape, [&](int64_t n, int64_t i, int64_t j) {
    for (int64_t c = 0; c < x.shape.c; ++c) {
      double value = value_of(x.at<T>(n, i, j)[c]);
      if (scale) value = value_of(scale.as<T>()[c]) * value + value_of(shift.as<T>()[c]);
      if (a.epilogue.residual) value += value_of(a.epilogue.residual.at<T>(n, i, j)[c]);
      put(y.at<T>(n, i, j)[c], activated(value, s.function), a.dst[0].mode);
    }
  });
}

template <class T>
void activation_backward(const ActivationSpec& s, const Arguments& a) {
  const View &diff_y = a.src[0].view, &y = a.src[1].view, &diff_x = a.dst[0].view;
  for_each_pixel(y.shape, [&](int64_t n, int64_t i, int64_t j) {
    for (int64_t c = 0; c < y.shape.c; ++c)
      put(diff_x.at<T>(n, i, j)[c],
          value_of(diff_y.at<T>(n, i, j)[c]) * passes(value_of(y.at<T>(n, i, j)[c]), s.function), a.dst[0].mode);
  });
}

template <class T>
void add(const Arguments& a) {
  const View& y = a.dst[0].view;
  for_each_pixel(y.shape, [&](int64_t n, int64_t i, int64_t j) {
    for (int64_t c = 0; c < y.shape.c; ++c) {
      double sum = 0;
      for (const Source& x : a.src) sum += value_of(x.view.at<T>(n, i, j)[c]);
      put(y.at<T>(n, i, j)[c], activated(sum, a.epilogue.act), a.dst[0].mode);
    }
  });
}

template <class T>
void add_backward(const Arguments& a) {
  for (const Destination& diff_x : a.dst) copy<T, T>(a.src[0].view, diff_x);
}

template <class T>
void concat(const Arguments& a) {
  int64_t first = 0;
  for (const Source& x : a.src) {
    copy<T, T>(x.view, a.dst[0], 0, 0, 0, first);
    first += x.view.shape.c;
  }
}

template <class T>
void concat_backward(const Arguments& a) {
  int64_t first = 0;
  for (const Destination& diff_x : a.dst) {
    copy<T, T>(a.src[0].view, diff_x, 0, 0, first, 0, diff_x.view.shape.c);
    first += diff_x.view.shape.c;
  }
}

template <class T>
void crop(const CropSpec& s, const Arguments& a) {
  copy<T, T>(window(a.src[0].view, s.top, s.left, s.size), a.dst[0]);
}

template <class T>
void crop_backward(const CropSpec& s, const Arguments& a) {
  clear<T>(a.dst[0]);
  copy<T, T>(a.src[0].view, {a.dst[0].view, Mode::add}, s.top, s.left);
}

template <class T>
void pad(const PadSpec& s, const Arguments& a) {
  const View& y = a.dst[0].view;
  for_each_pixel(y.shape, [&](int64_t n, int64_t i, int64_t j) {
    for (int64_t c = 0; c < y.shape.c; ++c) y.at<T>(n, i, j)[c] = element_of<T>(s.value);
  });
  copy<T, T>(a.src[0].view, {y, Mode::write}, s.top, s.left);
}

template <class T>
void pad_backward(const PadSpec& s, const Arguments& a) {
  copy<T, T>(window(a.src[0].view, s.top, s.left, a.dst[0].view.shape.size()), a.dst[0]);
}

template <class T>
void weighted_sum(const WeightedSumSpec& s, const Arguments& a) {
  double sum = 0;
  for (size_t i = 0; i < a.src.size(); ++i) sum += s.factor[i] * value_of(*a.src[i].view.as<T>());
  put(*a.dst[0].view.as<T>(), sum, a.dst[0].mode);
}

template <class T>
void weighted_sum_backward(const WeightedSumSpec& s, const Arguments& a) {
  for (size_t i = 0; i < a.dst.size(); ++i)
    put(*a.dst[i].view.as<T>(), s.factor[i] * value_of(*a.src[0].view.as<T>()), a.dst[i].mode);
}

// The kernel `vector` for f32: forward(entries, arguments) or backward(entries, arguments).
template <class Forward, class Backward>
Kernel vector_kernel(const Problem& problem, Forward forward, Backward backward) {
  Kernel kernel{"vector"};
  if (problem.src[0].type != Type::f32) kernel.declined = "it is for f32";
  const ElementwiseEntries& e = elementwise_entries(problem.isa);
  if (problem.pass == Pass::forward) {
    kernel.run = [forward, &e](const Arguments& a) { forward(e, a); };
  } else {
    kernel.run = [backward, &e](const Arguments& a) { backward(e, a); };
  }
  return kernel;
}

// The channels of `view` that operand i of a concatenation has.
View part_of(const View& view, const auto& operands, size_t i) {
  int64_t first = 0;
  for (size_t k = 0; k < i; ++k) first += operands[k].view.shape.c;
  return channel_slice(view, first, operands[i].view.shape.c);
}

}  // namespace

Candidates activation_kernels(const ActivationSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel(
              problem, [spec](const ElementwiseEntries& e, const Arguments& a) { e.activation(spec, a); },
              [spec](const ElementwiseEntries& e, const Arguments& a) { e.activation_backward(spec, a); }),
          definition_for<double, float, bf16>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
            forward ? activation<T>(spec, a) : activation_backward<T>(spec, a);
          })};
}

Candidates add_kernels(const AddSpec&, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel(
              problem, [](const ElementwiseEntries& e, const Arguments& a) { e.add(a); },
              [](const ElementwiseEntries& e, const Arguments& a) {
                for (const Destination& diff_x : a.dst) e.copy(a.src[0].view, diff_x);
              }),
          definition_for<double, float>(problem.src[0].type, [forward]<class T>(const Arguments& a) {
            forward ? add<T>(a) : add_backward<T>(a);
          })};
}

Candidates concat_kernels(const ConcatSpec&, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {vector_kernel(
              problem,
              [](const ElementwiseEntries& e, const Arguments& a) {
                for (size_t i = 0; i < a.src.size(); ++i)
                  e.copy(a.src[i].view, {part_of(a.dst[0].view, a.src, i), a.dst[0].mode});
              },
              [](const ElementwiseEntries& e, const Arguments& a) {
                for (size_t i = 0; i < a.dst.size(); ++i) e.copy(part_of(a.src[0].view, a.dst, i), a.dst[i]);
              }),
          definition_for<double, float, bf16, uint8_t>(problem.src[0].type, [forward]<class T>(const Arguments& a) {
            forward ? concat<T>(a) : concat_backward<T>(a);
          })};
}

Candidates crop_kernels(const CropSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {
      vector_kernel(
          problem,
          [spec](const ElementwiseEntries& e, const Arguments& a) {
            e.copy(window(a.src[0].view, spec.top, spec.left, spec.size), a.dst[0]);
          },
          [spec](const ElementwiseEntries& e, const Arguments& a) {
            const Destination& diff_x = a.dst[0];
            if (diff_x.mode == Mode::write) e.fill(diff_x.view, 0);
            e.copy(a.src[0].view, {window(diff_x.view, spec.top, spec.left, spec.size), diff_x.mode});
          }),
      definition_for<double, float, bf16, uint8_t>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
        forward ? crop<T>(spec, a) : crop_backward<T>(spec, a);
      })};
}

Candidates pad_kernels(const PadSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {
      vector_kernel(
          problem,
          [spec](const ElementwiseEntries& e, const Arguments& a) {
            e.fill(a.dst[0].view, static_cast<float>(spec.value));
            e.copy(a.src[0].view,
                   {window(a.dst[0].view, spec.top, spec.left, a.src[0].view.shape.size()), Mode::write});
          },
          [spec](const ElementwiseEntries& e, const Arguments& a) {
            e.copy(window(a.src[0].view, spec.top, spec.left, a.dst[0].view.shape.size()), a.dst[0]);
          }),
      definition_for<double, float, bf16, uint8_t>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
        forward ? pad<T>(spec, a) : pad_backward<T>(spec, a);
      })};
}

// Both passes copy src to dst, from the one type to the other.
Candidates cast_kernels(const CastSpec&, const Problem& problem) {
  const Type to = problem.dst[0].type;
  return {definition_for<double, float, bf16, uint8_t>(problem.src[0].type, [to]<class T>(const Arguments& a) {
    if (to == Type::f64) copy<T, double>(a.src[0].view, a.dst[0]);
    if (to == Type::f32) copy<T, float>(a.src[0].view, a.dst[0]);
    if (to == Type::bf16) copy<T, bf16>(a.src[0].view, a.dst[0]);
    if (to == Type::u8) copy<T, uint8_t>(a.src[0].view, a.dst[0]);
  })};
}

Candidates weighted_sum_kernels(const WeightedSumSpec& spec, const Problem& problem) {
  const bool forward = problem.pass == Pass::forward;
  return {definition_for<double, float>(problem.src[0].type, [spec, forward]<class T>(const Arguments& a) {
    forward ? weighted_sum<T>(spec, a) : weighted_sum_backward<T>(spec, a);
  })};
}

}  // namespace pixelwise
