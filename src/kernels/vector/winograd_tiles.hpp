// The tiles of a Winograd convolution: where each lies in its map, and their way through the transform.
#pragma once
#include "kernels/vector/conv_pack.hpp"
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

struct Nothing {  ///< is asked for
  [[gnu::always_inline]] void operator()(int, int, int64_t) const {}
};
/// The pixels of the tile that comes next are asked for, into L2, while this one is transformed: they come from beyond
/// that cache, and the processor does not follow so many rows by itself.
template <int first_column>
struct TileAhead {
  const float* data;
  int64_t row, pixel;
  /// Of height x width pixels from (y, x), or where those lie in part outside the map, as many near by.
  TileAhead(const View& map, const Size& dilation, Size extent, int64_t n, int64_t y, int64_t x) : row(0), pixel(0) {
    const int64_t last_y = map.shape.h - 1 - (extent.h - 1) * dilation.h;
    const int64_t last_x = map.shape.w - 1 - (extent.w - 1) * dilation.w;
    if (last_y >= 0) row = dilation.h * map.row_stride;
    if (last_x >= 0) pixel = dilation.w * map.pixel_stride;
    data = map.at<float>(n, most(0, least(y, last_y)), most(0, least(x, last_x)));
  }
  [[gnu::always_inline]] void operator()(int i, int j, int64_t c) const {
    if (j >= first_column) __builtin_prefetch(data + i * row + j * pixel + c, 0, 2);
  }
};
/// The first columns of a tile's source are the last ones of the tile before.
template <class F>
TileAhead<F::W::inputs - F::W::results> source_ahead(const Winograd& w, const View& map, const Place& next) {
  return {map, w.dilation, {F::H::inputs, F::W::inputs}, next.n, next.y + w.offset.h, next.x + w.offset.w};
}
template <class F>
TileAhead<0> gradient_ahead(const Winograd& w, const View& map, const Place& next) {
  return {map, w.dilation, {F::H::results, F::W::results}, next.n, next.y, next.x};
}

/// The transformed source of the tile at `place`: point p goes to to[p * step].
template <class F, class Ask = Nothing>
void source_tile(const Winograd& w, const Source& s, const Channels& channels, const Place& place, float* to,
                 int64_t step, const Ask& ask = {}) {
  for_channels<F::H::inputs, F::W::inputs>(
      s, channels, w.dilation, place.n, place.y + w.offset.h, place.x + w.offset.w, [&](const auto& read, int64_t c) {
        float* at = to + c - channels.first;
        transform_source<F>([&](int i, int j) { return ask(i, j, c), read(i, j); },
                            [&](int i, int j, vfloat v) { store(at + F::point(i, j) * step, v); });
      });
}

/// The same of the gradient of its result.
template <class F, class Ask>
void gradient_tile(const Winograd& w, const Source& s, const Channels& channels, const Place& place, float* to,
                   int64_t step, const Ask& ask) {
  for_channels<F::H::results, F::W::results>(
      s, channels, w.dilation, place.n, place.y, place.x, [&](const auto& read, int64_t c) {
        float* at = to + c - channels.first;
        transform_gradient<F>([&](int i, int j) { return ask(i, j, c), read(i, j); },
                              [&](int i, int j, vfloat v) { store(at + F::point(i, j) * step, v); });
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
