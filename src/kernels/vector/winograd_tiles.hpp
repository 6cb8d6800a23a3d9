// The tiles of a Winograd convolution: where each lies in its map, and their way through the transform.
#pragma once
#include "kernels/vector/maps.hpp"
#include "kernels/vector/winograd.hpp"
#include "kernels/vector/winograd_transform.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// A tile's first destination pixel.
struct Place {
  int64_t n, y, x;
};
inline Place place_of(const Winograd& w, int64_t index) {
  const int64_t columns = w.phases.w * w.tiles.w, rows = w.phases.h * w.tiles.h;
  const int64_t column = index % columns, row = index / columns % rows;
  return {index / columns / rows, row / w.tiles.h + row % w.tiles.h * w.tile.h * w.dilation.h,
          column / w.tiles.w + column % w.tiles.w * w.tile.w * w.dilation.w};
}

/// What a Source holds at a vector of channels.
struct Reader {
  vfloat scale, shift;
  Activation act;
  int64_t left;
  [[gnu::always_inline]] Reader(const Source& s, int64_t c)
      : scale(broadcast(1)), shift(zero()), act(s.act), left(s.view.shape.c - c) {
    if (s.scale) scale = load_some(s.scale.as<float>() + c, left);
    if (s.shift) shift = load_some(s.shift.as<float>() + c, left);
  }
  [[gnu::always_inline]] vfloat operator()(const float* p) const {
    return activate(load_some(p, left) * scale + shift, act);
  }
  [[gnu::always_inline]] vfloat whole(const float* p) const { return activate(load(p) * scale + shift, act); }
};

struct Channels {
  int64_t first, last;
};

/// transform(read, c) for every vector of channels c of the height x width pixels from (y0, x0), `dilation` apart,
/// where read(i, j) is a pixel as the Source gives it; 0 outside the map.
template <int height, int width, class Fn>
[[gnu::always_inline]] inline void for_channels(const Source& s, const Channels& channels, const Size& dilation,
                                                int64_t n, int64_t y0, int64_t x0, const Fn& transform) {
  const Shape& map = s.view.shape;
  const int64_t dy = dilation.h, dx = dilation.w;
  const bool inside = y0 >= 0 && x0 >= 0 && y0 + (height - 1) * dy < map.h && x0 + (width - 1) * dx < map.w;
  const int64_t row = dy * s.view.row_stride, pixel = dx * s.view.pixel_stride;
  const int64_t origin = n * s.view.image_stride + y0 * s.view.row_stride + x0 * s.view.pixel_stride;
  for (int64_t c = channels.first; c < channels.last; c += lanes) {
    const float* data = s.view.as<float>() + c;
    if (inside && map.c - c >= lanes && s.plain()) {
      transform([&](int i, int j) { return load(data + origin + i * row + j * pixel); }, c);
      continue;
    }
    const Reader read(s, c);
    if (inside && map.c - c >= lanes) {
      transform([&](int i, int j) { return read.whole(data + origin + i * row + j * pixel); }, c);
      continue;
    }
    alignas(64) float pixels[height * width * lanes];
    for (int64_t i = 0; i < height; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        const int64_t y = y0 + i * dy, x = x0 + j * dx;
        const bool outside = y < 0 || y >= map.h || x < 0 || x >= map.w;
        store(pixels + (i * width + j) * lanes, outside ? zero() : read(data + origin + i * row + j * pixel));
      }
    }
    transform([&](int i, int j) { return load(pixels + (i * width + j) * lanes); }, c);
  }
}

/// The transformed source of the tile at `place`: point p goes to to[p * step].
template <class F>
void source_tile(const Winograd& w, const Source& s, const Channels& channels, const Place& place, float* to,
                 int64_t step) {
  for_channels<F::H::inputs, F::W::inputs>(
      s, channels, w.dilation, place.n, place.y + w.offset.h, place.x + w.offset.w, [&](const auto& read, int64_t c) {
        float* at = to + c - channels.first;
        transform_source<F>(read, [&](int i, int j, vfloat v) { store(at + F::point(i, j) * step, v); });
      });
}

/// The same of the gradient of its result.
template <class F>
void gradient_tile(const Winograd& w, const Source& s, const Channels& channels, const Place& place, float* to,
                   int64_t step) {
  for_channels<F::H::results, F::W::results>(
      s, channels, w.dilation, place.n, place.y, place.x, [&](const auto& read, int64_t c) {
        float* at = to + c - channels.first;
        transform_gradient<F>(read, [&](int i, int j, vfloat v) { store(at + F::point(i, j) * step, v); });
      });
}

/// fn.template operator()<F>() for the algorithm of the plan.
template <class Fn>
void with_filter(const Winograd& w, const Fn& fn) {
  if (w.kernel == 7) {
    if (w.tile.h == 3) return fn.template operator()<Axes<F37, F47>>();
    return w.tile.w == 3 ? fn.template operator()<Axes<F47, F37>>() : fn.template operator()<Axes<F47, F27>>();
  }
  switch (w.tile.h) {
    case 2:
      return fn.template operator()<Axes<Pair>>();
    case 3:
      return fn.template operator()<Axes<F33>>();
    case 4:
      return fn.template operator()<Axes<F43>>();
    default:
      return fn.template operator()<Axes<F63>>();
  }
}

/// The gradient of the weights (winograd_weights.cpp).
void winograd_weights(const WinogradWeights& w, const Arguments& a);

}  // namespace pixelwise::PIXELWISE_ISA
