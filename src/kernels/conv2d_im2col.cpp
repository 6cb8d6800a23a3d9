// The textbook lowering of a convolution to a matrix product (Chellapilla, Puri, Simard 2006, "High performance
// convolutional neural networks for document processing"): row q of the matrix holds the pixels under the kernel at q,
//   y (pixels x O) = columns (pixels x kh kw I) * weights^T (kh kw I x O).
// It is here to be read, and as a second opinion: implicit_gemm does the same without writing the matrix.
#include <Eigen/Core>
#include <algorithm>

#include "kernels/convolution.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The pixels under the kernel at (y, x), as the Source gives them; 0 outside the map.
void unfold_pixel(const Convolution& conv, const Source& src, int64_t n, int64_t y, int64_t x, float* column) {
  for (int64_t ky = 0; ky < conv.kernel.h; ++ky) {
    for (int64_t kx = 0; kx < conv.kernel.w; ++kx) {
      const int64_t sy = y * conv.stride.h - conv.pad.h + ky * conv.dilation.h;
      const int64_t sx = x * conv.stride.w - conv.pad.w + kx * conv.dilation.w;
      for (int64_t c = 0; c < conv.fine_channels; ++c)
        *column++ = static_cast<float>(source_at<float>(src, n, sy, sx, c));
    }
  }
}

// One row of dst.
void im2col_row(const Convolution& conv, const Arguments& a, int64_t n, int64_t y, float* scratch) {
  const int64_t width = a.dst[0].view.shape.w, out = conv.coarse_channels;
  const int64_t taps = conv.kernel.h * conv.kernel.w * conv.fine_channels;
  Eigen::Map<Matrix> columns(scratch, width, taps), result(scratch + width * taps, width, out);
  for (int64_t x = 0; x < width; ++x) unfold_pixel(conv, a.src[0], n, y, x, columns.row(x).data());
  const Eigen::Map<const Matrix> weights(a.parameters[0].as<float>(), out, taps);
  result.noalias() = columns * weights.transpose();
  const View bias = a.parameters.size() > 1 ? a.parameters[1] : View{};
  for (int64_t x = 0; x < width; ++x) {
    for (int64_t o = 0; o < out; ++o)
      leave<float>(a, n, y, x, o, result(x, o) + (bias ? value_of(bias.as<float>()[o]) : 0));
  }
}

}  // namespace

Kernel im2col_kernel(const Convolution& conv, const Problem& problem) {
  Kernel kernel{"im2col"};
  if (problem.pass != Pass::forward || conv.transposed)
    kernel.declined = "it is for the forward pass of a convolution";
  else if (problem.src[0].type != Type::f32)
    kernel.declined = format("elements of type {}: it is for f32", to_string(problem.src[0].type));
  else if (conv.groups > 1)
    kernel.declined = format("{} groups: it is for 1", conv.groups);
  else if (pools(problem))
    kernel.declined = declines_pooling;
  else if (problem.moments)
    kernel.declined = declines_moments;
  if (!kernel.declined.empty()) return kernel;
  const int64_t height = problem.dst[0].shape.h, width = problem.dst[0].shape.w, images = problem.dst[0].shape.n;
  const int64_t floats = width * (conv.kernel.h * conv.kernel.w * conv.fine_channels + conv.coarse_channels);
  kernel.scratch_bytes = 4 * floats * std::max(1, problem.threads);
  kernel.run = [conv, height, images, floats](const Arguments& a) {
    parallel_for(images * height, [&](int64_t chunk, int thread) {
      im2col_row(conv, a, chunk / height, chunk % height, reinterpret_cast<float*>(a.scratch) + thread * floats);
    });
  };
  return kernel;
}

}  // namespace pixelwise
