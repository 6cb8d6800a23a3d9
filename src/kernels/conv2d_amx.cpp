// Selection and blocking of the AMX kernels: a pure function of shapes. Sizes of blocks aim at an L2 of 2 MiB and an L1
// of 48 KiB, which processors with AMX have.
#include <algorithm>
#include <memory>
#include <numeric>

#include "core/format.hpp"
#include "kernels/conv_axis.hpp"
#include "kernels/convolution.hpp"
#include "kernels/vector/amx_plan.hpp"

namespace pixelwise {
namespace {

constexpr int64_t strips_bytes = 1 << 20;    // of the packed source
constexpr int64_t sums_bytes = 640 << 10;    // of sums that are not finished
constexpr int64_t pixels_bytes = 512 << 10;  // of either packed map, for a weight gradient
constexpr int64_t shared_bytes = 24 << 20;   // of a packed source that all threads share: what the L3 cache may hold
constexpr int64_t panel_bytes = 512 << 10, prepacked_bytes = 32 << 20, slab_bytes = 64 << 20;
constexpr int64_t fewest_pixels = 128;  // that share the weights while those pass through the caches
constexpr int64_t lanes = 32;           // channels, or pixels, of a step

// Rows of the source that a kernel of `taps` rows meets from `rows` destination rows.
RowClasses row_classes(int64_t stride, int64_t dilation, int64_t taps, int64_t rows) {
  RowClasses r;
  r.step = taps > 1 ? dilation : 1;
  const int64_t common = std::gcd(stride, r.step);
  r.classes = std::min(r.step / common, rows);
  r.stride = stride / common;
  r.phases = std::min(r.stride, std::max<int64_t>(1, taps));
  return r;
}

// Packed rows of a group, for `rows` destination rows.
int64_t phase_rows(const RowClasses& r, int64_t rows, int64_t taps) {
  return rows + (std::max<int64_t>(1, taps) - 1) / r.stride;
}

int64_t most_taps(const Axis& axis) {
  int64_t taps = 0;
  for (int64_t p = 0; p < axis.phases; ++p) taps = std::max(taps, axis.phase[p].taps);
  return taps;
}

// The least and the largest shift of the taps of a row that meet the map; all of them where they are joined.
struct Reach {
  int64_t low = 0, high = 0;
};
Reach reach(const Axis& axis, int64_t extent, bool all) {
  Reach r;
  for (int64_t p = 0; p < axis.phases; ++p) {
    const AxisPhase& phase = axis.phase[p];
    for (int64_t t = 0; t < phase.taps; ++t) {
      const int64_t shift = phase.first_shift + t * phase.shift_step;
      if (!all && (shift + (phase.count - 1) * axis.stride < 0 || shift >= extent)) continue;
      r.low = std::min(r.low, shift), r.high = std::max(r.high, shift);
    }
  }
  return r;
}

// Columns of a packed row, and the layout of a pixel.
void lay_out_row(AmxGather& g) {
  const int64_t taps = most_taps(g.w);
  g.joined = g.src.c < 16 && taps > 1;
  for (int64_t p = 0; p < g.w.phases; ++p) g.joined &= g.w.phase[p].taps <= 1 || g.w.phase[p].shift_step == 1;
  g.pixel = g.joined ? g.src.c : 2 * lanes;
  if (taps <= 1 && g.w.stride > 1) {  // no tap meets the columns between
    g.column_step = g.w.stride;
    g.pitch = g.columns = g.w.count;
    return;
  }
  const Reach r = reach(g.w, g.src.w, g.joined);
  const int64_t right = (g.w.count - 1) * g.w.stride + r.high - (g.src.w - 1);
  g.columns = g.src.w;
  g.tile_step = g.w.stride;
  g.lead = -r.low;
  g.beyond = (g.joined ? lanes : 0) + lanes * g.tile_step + r.high + 1;
  g.pitch = std::max(ceil_div(g.src.w + std::max(g.lead, right), g.w.stride), g.w.count);
}

// Elements of a strip of so many packed rows, for 32 channels (joined: of the high parts).
int64_t plane_size(const AmxGather& g, int64_t packed_rows) {
  return round_up((g.lead + packed_rows * g.pitch * g.tile_step + g.beyond) * g.pixel, lanes);
}

// Bytes of the sums of a destination row, all its channels.
int64_t sums_of_row(const AmxGather& g) { return 4 * g.pitch * g.w.phases * round_up(g.dst.c, lanes); }

// Bytes of 32 channels (joined: of all) of a strip of `rows` destination rows.
int64_t strip_bytes(const AmxGather& g, int64_t rows) {
  const int64_t packed = g.classes.phases * phase_rows(g.classes, rows, most_taps(g.h));
  return (g.joined ? 4 : 2) * plane_size(g, packed);
}

// Channels that are packed at a time: as many as leave room for enough pixels. Those pixels are the first guess of the
// rows.
void block_channels(AmxGather& g, int64_t all_rows) {
  g.rows = std::min(all_rows, ceil_div(fewest_pixels, g.pitch));
  g.strips = std::min(g.classes.classes, ceil_div(fewest_pixels, all_rows * g.pitch));
  if (g.joined || g.shared) {
    g.in_block = g.joined ? g.src.c : round_up(g.src.c, lanes), g.in_blocks = 1;
    return;
  }
  const int64_t blocks = ceil_div(g.src.c, lanes);
  int64_t fitting = strips_bytes / (g.strips * strip_bytes(g, g.rows));
  const int64_t panel = 4 * lanes * AmxGather::out_block * std::max<int64_t>(1, most_taps(g.w) * most_taps(g.h));
  if (!g.prepacked) fitting = std::min(fitting, panel_bytes / panel);
  g.in_blocks = ceil_div(blocks, std::clamp<int64_t>(fitting, 1, blocks));
  g.in_block = lanes * ceil_div(blocks, g.in_blocks);
  g.in_blocks = ceil_div(g.src.c, g.in_block);
}

// Rows of a strip, and strips of a chunk: as many as fit, but few enough for eight chunks.
void block_rows(AmxGather& g, int64_t all_rows) {
  const int64_t own = g.joined ? 1 : g.in_block / lanes, all_strips = g.dst.n * g.h.phases * g.classes.classes;
  int64_t most = g.prepacked ? ceil_div(all_strips * all_rows, 8) : all_rows;
  if (g.in_blocks > 1) most = std::min(most, sums_bytes / (g.strips * sums_of_row(g)));
  while (g.rows < std::min(most, all_rows) && own * strip_bytes(g, g.rows + 1) <= strips_bytes) ++g.rows;
  g.bands = ceil_div(all_rows, g.rows);
  g.rows = ceil_div(all_rows, g.bands);
  g.bands = ceil_div(all_rows, g.rows);
  const int64_t fit = std::min(strips_bytes / (own * strip_bytes(g, g.rows)), most / g.rows);
  g.strips = g.bands == 1 ? std::clamp<int64_t>(fit, g.strips, g.classes.classes) : 1;
  g.strip_groups = ceil_div(g.classes.classes * g.bands, g.strips);
  g.phase_rows = phase_rows(g.classes, g.rows, most_taps(g.h));
  g.plane = plane_size(g, g.classes.phases * g.phase_rows);
  g.low = g.joined ? g.plane : lanes;
  g.strip_size = g.joined ? 2 * g.plane : own * g.plane;
}

// Destination channels of a chunk, and what it keeps.
void block_outputs(AmxGather& g) {
  g.out_blocks = ceil_div(g.dst.c, AmxGather::out_block);
  g.out_groups = ceil_div(16, g.dst.n * g.h.phases * g.strip_groups);
  if (g.in_blocks > 1) g.out_groups = std::max(g.out_groups, g.strips * g.rows * sums_of_row(g) / sums_bytes);
  g.out_groups = std::min(g.out_groups, g.out_blocks);
  const int64_t tiles = g.strips * g.w.phases * ceil_div(g.rows * g.pitch, 32);
  g.sums = g.in_blocks > 1 ? tiles * 32 * AmxGather::out_block * ceil_div(g.out_blocks, g.out_groups) : 0;
  const int64_t blocks = g.joined ? 1 : g.in_block / lanes;
  for (int64_t p = 0; p < g.w.phases; ++p) {
    const int64_t steps = g.columns_of(g.w.phase[p]);
    for (int64_t q = 0; q < g.h.phases; ++q) g.steps += g.h.phase[q].taps * steps;
    if (!g.prepacked) g.panel = std::max(g.panel, most_taps(g.h) * steps * blocks * 2 * lanes * AmxGather::out_block);
  }
}

void block(AmxGather& g) {
  const int64_t all_rows = ceil_div(g.h.count, g.classes.classes);
  block_channels(g, all_rows);
  block_rows(g, all_rows);
  block_outputs(g);
}

AmxGather plan_gather(const Convolution& conv, const Problem& problem) {
  AmxGather g;
  const bool from_fine = (problem.pass == Pass::forward) != conv.transposed;
  g.src = problem.src[0].shape;
  g.dst = problem.dst[0].shape;
  g.transposed_weights = !from_fine;
  const auto axis = from_fine ? forward_axis : backward_axis;
  g.h = axis(conv.kernel.h, conv.stride.h, conv.pad.h, conv.dilation.h, g.dst.h);
  g.w = axis(conv.kernel.w, conv.stride.w, conv.pad.w, conv.dilation.w, g.dst.w);
  g.classes = row_classes(g.h.stride, g.h.phase[0].shift_step, most_taps(g.h), g.h.count);
  g.prepacked = problem.fixed_parameters ||
                4 * conv.kernel.h * conv.kernel.w * round_up(g.src.c, lanes) * round_up(g.dst.c, 16) <= prepacked_bytes;
  lay_out_row(g);
  AmxGather own = g;
  block(own);
  if (own.out_groups == 1 || !g.prepacked) return own;
  // Several chunks would pack the same strips.
  g.shared = true;
  block(g);
  return g.shared_bytes() <= shared_bytes ? g : own;
}

// How many channels of a map a chunk of the weight gradient takes, at most `most`.
int64_t group_of(int64_t channels, int64_t most) {
  const int64_t fitting = std::clamp<int64_t>(most / lanes * lanes, lanes, 512);
  return lanes * ceil_div(ceil_div(channels, lanes), ceil_div(channels, fitting));
}

AmxCorrelation plan_correlation(const Convolution& conv, const Problem& problem) {
  AmxCorrelation c;
  c.kernel = conv.kernel, c.stride = conv.stride, c.pad = conv.pad, c.dilation = conv.dilation;
  c.fine_operand = conv.transposed ? 1 : 0;
  c.fine = problem.src[static_cast<size_t>(c.fine_operand)].shape;
  c.coarse = problem.src[static_cast<size_t>(1 - c.fine_operand)].shape;
  c.classes = row_classes(c.stride.h, c.dilation.h, c.kernel.h, c.coarse.h);
  // Channels: as many of both maps as the sums of all taps leave room for.
  c.tap_rows = std::clamp<int64_t>(sums_bytes / (4 * c.kernel.w * lanes * lanes), 1, c.kernel.h);
  c.tap_groups = ceil_div(c.kernel.h, c.tap_rows);
  const int64_t products = sums_bytes / 4 / (c.tap_rows * c.kernel.w);
  int64_t side = lanes;
  while ((side + lanes) * (side + lanes) <= products) side += lanes;
  c.in_group = group_of(c.fine.c, std::max(side, products / round_up(c.coarse.c, lanes)));
  c.out_group = group_of(c.coarse.c, products / c.in_group);
  c.in_groups = ceil_div(c.fine.c, c.in_group), c.out_groups = ceil_div(c.coarse.c, c.out_group);
  // Columns.
  const Axis w = forward_axis(c.kernel.w, c.stride.w, c.pad.w, c.dilation.w, c.coarse.w);
  Reach columns;
  if (c.kernel.w == 1) {
    c.pitch = c.coarse.w;
  } else {
    const auto down = [&](int64_t x) { return x >= 0 ? x / c.stride.w : -ceil_div(-x, c.stride.w); };
    const Reach shifts = reach(w, c.fine.w, false);
    columns = {down(shifts.low), down(shifts.high)};
    c.column_phases = c.stride.w;
    const int64_t fine = ceil_div(c.fine.w, c.stride.w);
    c.lead = -columns.low;
    c.pitch = std::max(fine + std::max(c.lead, c.coarse.w - 1 + columns.high - (fine - 1)), c.coarse.w);
  }
  // Rows: as many as fit.
  const int64_t all_rows = ceil_div(c.coarse.h, c.classes.classes), in = round_up(c.in_group, lanes);
  const auto plane = [&](int64_t rows) {
    const int64_t packed = c.classes.phases * phase_rows(c.classes, rows, c.tap_rows);
    return round_up(c.lead + packed * c.pitch + columns.high + 2 * lanes, lanes);
  };
  const auto channel = [&](int64_t rows) { return lanes * (2 * c.column_phases * plane(rows) / lanes | 1); };
  c.rows = 1;
  while (c.rows < all_rows && 2 * in * channel(c.rows + 1) <= pixels_bytes &&
         4 * (c.rows + 1) * c.pitch * c.out_group <= pixels_bytes)
    ++c.rows;
  c.bands = ceil_div(all_rows, c.rows);
  c.rows = ceil_div(all_rows, c.bands);
  c.bands = ceil_div(all_rows, c.rows);
  c.phase_rows = phase_rows(c.classes, c.rows, c.tap_rows);
  c.plane = plane(c.rows), c.channel = channel(c.rows);
  c.span = c.kernel.h * c.kernel.w > 1 ? 6 * lanes : round_up(c.rows * c.pitch, lanes);
  c.sums = c.tap_rows * c.kernel.w * in * c.out_group;
  c.fine_size = in * c.channel;
  c.coarse_size = 2 * round_up(c.rows * c.pitch, lanes) * c.out_group;
  c.slabs = std::min({int64_t{8}, ceil_div(16, c.tap_groups * c.in_groups * c.out_groups),
                      c.coarse.n * c.classes.classes * c.bands, std::max<int64_t>(1, slab_bytes / 4 / c.weights())});
  return c;
}

std::string declines(const Convolution& conv, const Problem& problem) {
  if (problem.precision == Precision::strict) return "precision strict: it multiplies floats in parts";
  if (problem.moments) return declines_moments;
  return declines_dense(conv, problem);
}

}  // namespace

const AmxEntries& amx_entries([[maybe_unused]] Isa isa) {
#ifdef PIXELWISE_AMX
  if (isa == Isa::amx) return amx::amx_kernels;
#endif
#ifdef PIXELWISE_X86
  if (isa >= Isa::avx512) return avx512::amx_kernels;
  if (isa == Isa::avx2) return avx2::amx_kernels;
#endif
  return baseline::amx_kernels;
}

Kernel amx_kernel(const Convolution& conv, const Problem& problem) {
  Kernel kernel{"amx"};
  kernel.declined = declines(conv, problem);
  if (!kernel.declined.empty()) return kernel;
  const AmxEntries& entries = amx_entries(problem.isa);
  const int64_t threads = std::max(1, problem.threads);
  if (problem.pass == Pass::backward_weights) {
    const auto c = std::make_shared<const AmxCorrelation>(plan_correlation(conv, problem));
    kernel.scratch_bytes = (c->slabs > 1 ? round_up(c->slabs * c->weights() * 4, 64) : 0) + threads * c->thread_bytes();
    kernel.run = [c, &entries](const Arguments& a) { entries.correlate(*c, a); };
    return kernel;
  }
  const auto g = std::make_shared<const AmxGather>(plan_gather(conv, problem));
  kernel.scratch_bytes = g->shared_bytes() + threads * g->thread_bytes();
  if (g->prepacked) {
    kernel.packed_bytes = 4 * g->steps * g->channel_blocks() * lanes * round_up(g->dst.c, 16);
    kernel.pack = [g, &entries](const Arguments& a) { entries.pack(*g, a); };
  }
  kernel.run = [g, &entries](const Arguments& a) { entries.gather(*g, a); };
  return kernel;
}

// A step of the tiles does three products of 512 pairs a cycle, vectors of floats 32: a quarter of the tiles' work must
// be wanted, not zeros that fill them. And it must outweigh that both maps are split or gathered, which vectors need
// not do: so many products are wanted for each channel of a pixel that is read or written.
bool amx_pays(const Convolution& conv, const Problem& problem) {
  const auto filled = [](int64_t used, int64_t unit) {
    return static_cast<double>(used) / static_cast<double>(round_up(used, unit));
  };
  const double fine = static_cast<double>(conv.fine_channels), coarse = static_cast<double>(conv.coarse_channels);
  const double reuse = static_cast<double>(conv.kernel.h * conv.kernel.w) * fine * coarse / (fine + coarse);
  if (problem.pass == Pass::backward_weights)
    return reuse >= 200 && filled(conv.fine_channels, 16) * filled(conv.coarse_channels, 16) >= 0.25;
  const int64_t in = problem.src[0].shape.c, out = problem.dst[0].shape.c;
  const bool joined = in < 16 && conv.kernel.w > 1 && conv.dilation.w == 1 && conv.stride.w < conv.kernel.w;
  return reuse >= 50 && filled(joined ? in * conv.kernel.w : in, 32) * filled(out, 16) >= 0.25;
}

}  // namespace pixelwise
