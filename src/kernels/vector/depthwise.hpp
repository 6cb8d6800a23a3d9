// What the depthwise kernels share: which taps meet the map, and which pixels share what they read.
#pragma once
#include "kernels/vector/conv_pack.hpp"
#include "kernels/vector/conv_plan.hpp"

namespace pixelwise::PIXELWISE_ISA {

/// The taps [first, last) of an axis that destination q meets inside the map; so do the pixels up to `end`.
struct Taps {
  int64_t first, last, end;
};
inline Taps taps_of(const AxisPhase& p, int64_t stride, int64_t extent, int64_t q) {
  const auto shift = [&](int64_t tap) { return p.first_shift + tap * p.shift_step; };
  // Tap t is inside for the pixels [enters(t), leaves(t)); both fall as t grows.
  const auto enters = [&](int64_t t) { return shift(t) >= 0 ? 0 : (stride - 1 - shift(t)) / stride; };
  const auto leaves = [&](int64_t t) { return shift(t) >= extent ? 0 : (extent - 1 - shift(t)) / stride + 1; };
  Taps taps{0, p.taps, p.count};
  for (; taps.first < p.taps && enters(taps.first) > q; ++taps.first) taps.end = least(p.count, enters(taps.first));
  while (taps.last > taps.first && leaves(taps.last - 1) <= q) --taps.last;
  if (taps.last > taps.first) taps.end = least(taps.end, leaves(taps.last - 1));
  return taps;
}

/// fn(q, taps of the column) for every run of destination columns that meet the same taps.
template <class Fn>
[[gnu::always_inline]] inline void for_columns(const AxisPhase& p, int64_t stride, int64_t extent, const Fn& fn) {
  Taps taps{};
  for (int64_t q = 0; q < p.count; q = taps.end) {
    taps = taps_of(p, stride, extent, q);
    fn(q, taps);
  }
}

/// Every apart-th pixel of an axis reads the source `step` taps further: they share what they read. step 0: none do.
struct Sharing {
  int64_t apart, step;
};
[[gnu::always_inline]] inline Sharing sharing_of(const Axis& axis) {
  const int64_t tap = axis.phase[0].shift_step, stride = axis.stride;
  const int64_t apart = tap > stride ? tap / stride : 1;
  return {apart, apart * stride % tap ? 0 : apart * stride / tap};
}

/// Blocks of `rows` rows, each `apart`-th of an axis.
struct RowBlocks {
  int64_t apart, rows, count, blocks;
  [[gnu::always_inline]] RowBlocks(const Axis& axis, int64_t apart_, int64_t rows_)
      : apart(apart_), rows(rows_), count((axis.count + apart - 1) / apart), blocks((count + rows - 1) / rows) {}
  [[gnu::always_inline]] int64_t all() const { return apart * blocks; }
  [[gnu::always_inline]] int64_t first(int64_t i) const { return i / blocks + i % blocks * rows * apart; }
  /// The rows of a block from `first` on that lie before `end`.
  [[gnu::always_inline]] int64_t rows_before(int64_t end, int64_t first) const {
    return end <= first ? 0 : least(rows, (end - first + apart - 1) / apart);
  }
};

/// Groups of vectors of channels: what a few rows of them take stays in the L2 cache.
inline constexpr int64_t vectors_at_once = 12;

}  // namespace pixelwise::PIXELWISE_ISA
