#include "onednn.hpp"

using namespace pixelwise;
using dnnl::memory;

namespace {

constexpr auto f32 = memory::data_type::f32;
constexpr auto algorithm = dnnl::algorithm::convolution_auto;  // Winograd too, where oneDNN thinks it better

memory::desc map_desc(const View& view) {
  const Shape& s = view.shape;
  return {{s.n, s.c, s.h, s.w}, f32, {view.image_stride, 1, view.row_stride, view.pixel_stride}};
}

// Ours {O, kh, kw, I} or, depthwise, {1, kh, kw, C}; oneDNN's dimensions are O I kh kw, or G O/G I/G kh kw.
memory::desc weights_desc(const View& view, int64_t groups) {
  const Shape& s = view.shape;
  if (groups == 1) return {{s.n, s.c, s.h, s.w}, f32, {s.h * s.w * s.c, 1, s.w * s.c, s.c}};
  return {{s.c, 1, 1, s.h, s.w}, f32, {1, s.c, s.c, s.w * s.c, s.c}};
}

memory::desc any(const memory::desc& desc) { return {desc.dims(), f32, memory::format_tag::any}; }

// The padding on the far side, so that the last tap of the last y falls on the last pixel: negative where the kernel
// leaves pixels of x out.
memory::dims far_pad(const Convolution& c) {
  const auto along = [](int64_t x, int64_t y, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    return (y - 1) * stride + dilation * (kernel - 1) + 1 - x - pad;
  };
  return {along(c.x.shape.h, c.y.shape.h, c.kernel.h, c.stride.h, c.pad.h, c.dilation.h),
          along(c.x.shape.w, c.y.shape.w, c.kernel.w, c.stride.w, c.pad.w, c.dilation.w)};
}

}  // namespace

OneDnn::OneDnn(const Convolution& c, Pass pass) {
  const memory::desc x = map_desc(c.x), weights = weights_desc(c.weights, c.groups), y = map_desc(c.y);
  const memory::dims strides{c.stride.h, c.stride.w}, dilates{c.dilation.h - 1, c.dilation.w - 1},
      pad{c.pad.h, c.pad.w};
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, algorithm, any(x), any(weights), any(y), strides, dilates, pad, far_pad(c)},
      engine_);
  const auto take = [&](const auto& desc, const auto& primitive) {
    primitive_ = primitive;
    implementation_ = desc.impl_info_str();
  };
  if (pass == Pass::forward) {
    take(forward, dnnl::convolution_forward(forward));
    arguments_ = {{DNNL_ARG_SRC, preferred(c.x, x, forward.src_desc(), true)},
                  {DNNL_ARG_WEIGHTS, preferred(c.weights, weights, forward.weights_desc(), true)},
                  {DNNL_ARG_DST, preferred(c.y, y, forward.dst_desc(), false)}};
  } else if (pass == Pass::backward_data) {
    const dnnl::convolution_backward_data::primitive_desc data(
        {algorithm, any(x), any(weights), any(y), strides, dilates, pad, far_pad(c)}, engine_, forward);
    take(data, dnnl::convolution_backward_data(data));
    arguments_ = {{DNNL_ARG_DIFF_DST, preferred(c.y, y, data.diff_dst_desc(), true)},
                  {DNNL_ARG_WEIGHTS, preferred(c.weights, weights, data.weights_desc(), true)},
                  {DNNL_ARG_DIFF_SRC, preferred(c.x, x, data.diff_src_desc(), false)}};
  } else {
    const dnnl::convolution_backward_weights::primitive_desc gradient(
        {algorithm, any(x), any(weights), any(y), strides, dilates, pad, far_pad(c)}, engine_, forward);
    take(gradient, dnnl::convolution_backward_weights(gradient));
    arguments_ = {{DNNL_ARG_SRC, preferred(c.x, x, gradient.src_desc(), true)},
                  {DNNL_ARG_DIFF_DST, preferred(c.y, y, gradient.diff_dst_desc(), true)},
                  {DNNL_ARG_DIFF_WEIGHTS, preferred(c.weights, weights, gradient.diff_weights_desc(), false)}};
  }
}

// Memory in the layout that oneDNN wants: with the view's values, or for the result.
memory OneDnn::preferred(const View& view, const memory::desc& plain, const memory::desc& wanted, bool read) {
  Memory& block = memory_.emplace_back(static_cast<int64_t>(wanted.get_size()));
  memory ours(plain, engine_, view.data), theirs(wanted, engine_, block.data());
  if (read) {
    dnnl::reorder(ours, theirs).execute(stream_, ours, theirs);
    stream_.wait();
  } else {
    result_ = theirs;
    destination_ = ours;
  }
  return theirs;
}

void OneDnn::run() {
  primitive_.execute(stream_, arguments_);
  stream_.wait();
}

void OneDnn::write_result() {
  dnnl::reorder(result_, destination_).execute(stream_, result_, destination_);
  stream_.wait();
}
