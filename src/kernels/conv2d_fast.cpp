// Selection of the fast convolution kernels, and the blocking of `implicit_gemm`: a pure function of shapes and
// instruction set. Sizes of blocks aim at an L2 of 1 MiB.
#include <algorithm>
#include <memory>

#include "core/format.hpp"
#include "kernels/conv_axis.hpp"
#include "kernels/convolution.hpp"
#include "kernels/vector/conv_plan.hpp"
#include "pixelwise/core/checked.hpp"

namespace pixelwise {
namespace {

constexpr int64_t panel_bytes = 256 << 10, band_bytes = 512 << 10, sums_bytes = 640 << 10, prepacked_bytes = 32 << 20,
                  slab_bytes = 64 << 20, point_bytes = 896 << 10, pointwise_bytes = 640 << 10;

bool reads_inside(const Axis& axis, int64_t extent) {
  return axis.low >= 0 && (axis.count - 1) * axis.stride + axis.high < extent;
}

int64_t most_taps(const Axis& axis) {
  int64_t taps = 0;
  for (int64_t p = 0; p < axis.phases; ++p) taps = std::max(taps, axis.phase[p].taps);
  return taps;
}

void block_channels(Gather& g, int64_t lanes) {
  const int64_t taps = std::max<int64_t>(1, most_taps(g.h) * most_taps(g.w));
  g.block = 2 * lanes;
  g.out_blocks = ceil_div(g.dst.c, g.block);
  const int64_t bytes = g.tapwise ? panel_bytes / 2 : panel_bytes;
  const int64_t room = std::max<int64_t>(16, bytes / (4 * taps * g.block) / 16 * 16);
  g.in_blocks = ceil_div(g.src.c, room);
  g.in_block = std::min(g.src.c, round_up(ceil_div(g.src.c, g.in_blocks), 16));
  g.in_blocks = ceil_div(g.src.c, g.in_block);
  g.panel_floats = g.prepacked ? 0 : taps * g.in_block * g.block;
}

void block_rows(Gather& g) {
  const int64_t columns = g.w.extent(), span = g.h.high - g.h.low;
  const int64_t row_bytes = columns * g.src.c * 4;
  const int64_t budget = g.prepacked ? band_bytes : 8 * band_bytes;
  int64_t fitting = g.tapwise ? g.h.count : (budget / row_bytes - span - 1) / g.h.stride + 1;
  // Few weights: the results of a band stay in L2 until all their channels are there, and leave it as whole pixels.
  if (g.in_place && 4 * g.src.c * g.dst.c <= panel_bytes)
    fitting = std::min(fitting, panel_bytes / (4 * g.w.count * g.dst.c));
  const int64_t wanted = g.prepacked ? ceil_div(g.dst.n * g.h.count, 8) : g.h.count;
  g.rows = std::clamp<int64_t>(std::min(fitting, wanted), 1, g.h.count);
  g.bands = ceil_div(g.h.count, g.rows);
  g.rows = ceil_div(g.h.count, g.bands);
  g.bands = ceil_div(g.h.count, g.rows);
  g.out_groups = std::min(g.out_blocks, ceil_div(16, g.dst.n * g.bands));
  g.band_floats = round_up(columns * (g.tapwise ? g.in_block : ((g.rows - 1) * g.h.stride + span + 1) * g.src.c), 16);
  g.sum_floats = (g.in_blocks > 1 ? g.rows : 1) * g.w.count * g.block;
  const int64_t most_tile_rows = 14;
  if (g.pointwise) g.sum_floats = std::max(g.sum_floats, (most_tile_rows + 3 * g.out_blocks) * g.block);
}

Gather plan_gather(const Convolution& conv, const Problem& problem, bool from_fine) {
  Gather g;
  g.src = problem.src[0].shape;
  g.dst = problem.dst[0].shape;
  g.kernel = conv.kernel;
  g.transposed_weights = !from_fine;
  const auto axis = from_fine ? forward_axis : backward_axis;
  g.h = axis(conv.kernel.h, conv.stride.h, conv.pad.h, conv.dilation.h, g.dst.h);
  g.w = axis(conv.kernel.w, conv.stride.w, conv.pad.w, conv.dilation.w, g.dst.w);
  const int64_t weights = conv.kernel.h * conv.kernel.w * g.src.c * g.dst.c;
  g.prepacked = problem.fixed_parameters || weights * 4 <= prepacked_bytes;
  g.in_place = conv.kernel == Size{1, 1} && reads_inside(g.h, g.src.h) && reads_inside(g.w, g.src.w);
  g.tapwise = conv.kernel.w > 1 && conv.dilation.w > 1 && g.src.c >= 64;
  block_channels(g, lanes_of(problem.isa));
  g.pointwise = g.in_place && g.h.phases * g.w.phases == 1 && g.h.low == 0 && g.w.low == 0 && g.in_blocks == 1 &&
                weights * 4 <= pointwise_bytes;
  block_rows(g);
  return g;
}

// Work of a tile whose vectors hold `vectors` channels while `broadcast` ones are broadcast, for each product of it:
// lanes that are not channels, single vectors, and what is loaded.
double work_of(int64_t broadcast, int64_t vectors, int64_t lanes) {
  const int64_t whole = round_up(vectors, lanes), rows = ceil_div(broadcast, ceil_div(broadcast, 14));
  return static_cast<double>(whole + whole / lanes % 2 * lanes / 5) / static_cast<double>(vectors) *
         (1 + 2.0 / static_cast<double>(rows));
}

PointProduct plan_point_product(const Correlation& c, int64_t lanes) {
  PointProduct p;
  p.on = c.kernel == Size{1, 1} && c.stride == Size{1, 1} && c.pad == Size{0, 0} && c.fine.size() == c.coarse.size();
  if (!p.on) return p;
  // The fine map may have to be normalised, once for each group of the other's channels: a group in vectors is larger.
  p.swapped = work_of(c.fine.c, c.coarse.c, lanes) < 1.03 * work_of(c.coarse.c, c.fine.c, lanes);
  const int64_t broadcast = p.swapped ? c.fine.c : c.coarse.c, vectors = p.swapped ? c.coarse.c : c.fine.c;
  const int64_t pixels = c.coarse.pixels();
  // A patch of the weights: few sums, so that bands are long, and sums seldom read and written.
  p.broadcast_groups = ceil_div(broadcast, 64), p.vector_groups = ceil_div(vectors, 256);
  const auto chunks = [&] { return p.slabs * p.broadcast_groups * p.vector_groups; };
  // There are chunks for all threads. Slabs add tensors as large as the weights: little beside large maps. Else patches
  // are smaller, and maps are read again for each.
  const int64_t most_slabs = pixels * (broadcast + vectors) / (8 * c.weights());
  while (chunks() < 16 && 2 * p.slabs <= most_slabs) p.slabs *= 2;
  while (chunks() < 8) {
    const int64_t rows = broadcast / p.broadcast_groups, columns = vectors / p.vector_groups;
    if (std::max(rows, columns) < 64) break;
    (rows >= columns ? p.broadcast_groups : p.vector_groups) *= 2;
  }
  p.vector_group = std::min(vectors, round_up(ceil_div(vectors, p.vector_groups), 2 * lanes));
  p.vector_groups = ceil_div(vectors, p.vector_group);
  p.group_rows = ceil_div(broadcast, p.broadcast_groups);
  p.packed_group = round_up(p.vector_group, 2 * lanes);
  p.sums_row = odd_lines(p.packed_group);
  p.sum_floats = round_up(p.group_rows, lanes) * p.sums_row;
  // They stay in L2 beside a band of both maps and the band that comes next.
  const int64_t fitting = (point_bytes / 4 - p.sum_floats) / (2 * (p.group_rows + p.vector_group));
  const int64_t most = std::clamp<int64_t>(fitting, 96, 4 * outer_pixels);
  p.bands = std::min(round_up(ceil_div(pixels, most), p.slabs), pixels);
  p.band = ceil_div(pixels, p.bands);
  return p;
}

Correlation plan_correlation(const Convolution& conv, const Problem& problem) {
  const int64_t lanes = lanes_of(problem.isa);
  Correlation c;
  c.kernel = conv.kernel, c.stride = conv.stride, c.pad = conv.pad, c.dilation = conv.dilation;
  c.fine_operand = conv.transposed ? 1 : 0;
  c.fine = problem.src[static_cast<size_t>(c.fine_operand)].shape;
  c.coarse = problem.src[static_cast<size_t>(1 - c.fine_operand)].shape;
  c.tap_rows = c.weights() * 4 > 2 * band_bytes ? 1 : c.kernel.h;
  // A chunk of the sums stays in L2; with some hundred channels of both maps it reads either map only a few times.
  const int64_t taps = c.tap_rows * c.kernel.w, fitting = band_bytes / 4 / taps;
  c.in_groups = ceil_div(c.fine.c, std::max<int64_t>(256, round_up(fitting / 256, 32)));
  c.in_group = c.in_groups == 1 ? c.fine.c : round_up(ceil_div(c.fine.c, c.in_groups), 2 * lanes);
  c.in_groups = ceil_div(c.fine.c, c.in_group);
  c.tap_pitch = c.dilation.w == 1 ? c.in_group : round_up(c.in_group, lanes);
  c.run_pitch = round_up(c.kernel.w * c.tap_pitch, lanes);
  c.sums_row = odd_lines(c.tap_rows * c.run_pitch);
  c.out_groups = ceil_div(c.coarse.c, std::max<int64_t>(14, sums_bytes / 4 / c.sums_row));
  c.out_group = ceil_div(c.coarse.c, c.out_groups);
  c.rows = std::clamp<int64_t>(outer_pixels / c.coarse.w, 1, c.coarse.h);
  c.bands = ceil_div(c.coarse.h, c.rows);
  const int64_t chunks = c.out_groups * c.in_groups * ceil_div(c.kernel.h, c.tap_rows);
  // Slabs are for threads: where there are chunks enough, each is only more sums to write and to read.
  c.slabs = std::min({ceil_div(8, chunks), c.coarse.n * c.bands, std::max<int64_t>(1, slab_bytes / 4 / c.weights())});
  const int64_t columns = (c.coarse.w - 1) * c.stride.w + (c.kernel.w - 1) * c.dilation.w + 1;
  const int64_t rows = (c.rows - 1) * c.stride.h + (c.tap_rows - 1) * c.dilation.h + 1;
  c.sum_floats = c.out_group * c.sums_row;
  c.fine_floats =
      std::max(round_up(rows * columns * c.in_group + 2 * lanes, 16), outer_pixels * round_up(c.in_group, 2 * lanes));
  c.coarse_pitch = odd_lines(c.out_group);
  c.coarse_floats = c.rows * c.coarse.w * c.coarse_pitch;
  c.point = plan_point_product(c, lanes);
  return c;
}

template <class Plan>
using Entry = void (*)(const Plan&, const Arguments&);

#ifdef PIXELWISE_X86
#define PIXELWISE_PICK(isa, function) \
  ((isa) >= Isa::avx512 ? avx512::function : (isa) == Isa::avx2 ? avx2::function : baseline::function)
#else
#define PIXELWISE_PICK(isa, function) (baseline::function)
#endif

std::string declines_stride(const Convolution& conv) {
  if (std::max(conv.stride.h, conv.stride.w) <= Axis::max_phases) return {};
  return format("stride {}: it is for up to {}", to_string(conv.stride), Axis::max_phases);
}

Kernel implicit_gemm(const Convolution& conv, const Problem& problem) {
  Kernel kernel{"implicit_gemm"};
  kernel.declined = declines_dense(conv, problem);
  if (!kernel.declined.empty()) return kernel;
  const int64_t threads = std::max(1, problem.threads);
  if (problem.pass == Pass::backward_weights) {
    const Correlation c = plan_correlation(conv, problem);
    kernel.scratch_bytes = 4 * c.scratch_floats(threads);
    const Entry<Correlation> run = PIXELWISE_PICK(problem.isa, correlate);
    kernel.run = [c, run](const Arguments& a) { run(c, a); };
    return kernel;
  }
  const auto g =
      std::make_shared<Gather>(plan_gather(conv, problem, (problem.pass == Pass::forward) != conv.transposed));
  kernel.scratch_bytes = 4 * threads * g->thread_floats();
  g->moments = plan_moments(kernel, problem,
                            std::max<int64_t>(g->pointwise ? Gather::pointwise_chunks : 1, g->dst.n * g->bands));
  const Entry<Gather> run = PIXELWISE_PICK(problem.isa, gather), pack = PIXELWISE_PICK(problem.isa, gather_pack);
  if (g->prepacked) {
    kernel.packed_bytes = 4 * conv.kernel.h * conv.kernel.w * g->src.c * round_up(g->dst.c, lanes_of(problem.isa));
    kernel.pack = [g, pack](const Arguments& a) { pack(*g, a); };
  }
  kernel.run = [g, run](const Arguments& a) { run(*g, a); };
  return kernel;
}

Kernel few_channels(const Convolution& conv, const Problem& problem) {
  Kernel kernel{"few_channels"};
  kernel.declined = declines_dense(conv, problem);
  const bool weights = problem.pass == Pass::backward_weights;
  if (kernel.declined.empty() && conv.fine_channels > FewChannels::most_channels)
    kernel.declined = format("{} channels: it is for up to {}", conv.fine_channels, FewChannels::most_channels);
  if (kernel.declined.empty() && (conv.transposed || (problem.pass != Pass::forward && !weights)))
    kernel.declined = "it is for convolutions, forward and the gradient of their weights";
  if (kernel.declined.empty() && conv.dilation != Size{1, 1})
    kernel.declined = format("dilation {}: it is for 1", to_string(conv.dilation));
  if (!kernel.declined.empty()) return kernel;
  FewChannels f;
  f.kernel = conv.kernel, f.stride = conv.stride, f.pad = conv.pad;
  f.fine = problem.src[0].shape, f.coarse = weights ? problem.src[1].shape : problem.dst[0].shape;
  f.lanes = lanes_of(problem.isa);
  f.rows = std::clamp<int64_t>(f.coarse.n * f.coarse.h / 8, 1, std::min<int64_t>(f.coarse.h, 8));
  f.bands = ceil_div(f.coarse.h, f.rows);
  f.slabs = std::min<int64_t>(f.coarse.n * f.bands, 16);
  const int64_t threads = std::max(1, problem.threads), slab_floats = weights ? f.slabs * f.sum_floats() : 0;
  kernel.scratch_bytes = 4 * (slab_floats + threads * f.thread_floats());
  f.moments = plan_moments(kernel, problem, f.coarse.n * f.bands);
  const Entry<FewChannels> run =
      weights ? PIXELWISE_PICK(problem.isa, few_channels_weights) : PIXELWISE_PICK(problem.isa, few_channels);
  if (!weights) {
    const Entry<FewChannels> pack = PIXELWISE_PICK(problem.isa, few_channels_pack);
    kernel.packed_bytes = 4 * f.sum_floats();
    kernel.pack = [f, pack](const Arguments& a) { pack(f, a); };
  }
  kernel.run = [f, run](const Arguments& a) { run(f, a); };
  return kernel;
}

Kernel depthwise(const Convolution& conv, const Problem& problem) {
  Kernel kernel{"depthwise"};
  kernel.declined = declines_types(problem);
  if (kernel.declined.empty() && pools(problem)) kernel.declined = declines_pooling;
  if (kernel.declined.empty()) kernel.declined = declines_stride(conv);
  if (!conv.depthwise())
    kernel.declined = format("{} groups of {} and {} channels: it is for groups of one", conv.groups,
                             conv.fine_channels / conv.groups, conv.coarse_channels / conv.groups);
  if (!kernel.declined.empty()) return kernel;
  const bool weights = problem.pass == Pass::backward_weights;
  const auto d = std::make_shared<Depthwise>();
  d->fine_operand = conv.transposed ? 1 : 0;
  // The map whose rows are walked through, all of them in `chunks` parts.
  const Shape& map = weights ? problem.src[static_cast<size_t>(1 - d->fine_operand)].shape : problem.dst[0].shape;
  const auto axis = weights || (problem.pass == Pass::forward) != conv.transposed ? forward_axis : backward_axis;
  d->h = axis(conv.kernel.h, conv.stride.h, conv.pad.h, conv.dilation.h, map.h);
  d->w = axis(conv.kernel.w, conv.stride.w, conv.pad.w, conv.dilation.w, map.w);
  // Neighbouring rows share what they read: a chunk has a few of them. A slab adds up some thousand pixels in floats.
  const int64_t rows = map.n * map.h;
  d->chunks = std::clamp<int64_t>(rows / 4, std::min<int64_t>(rows, 8), Depthwise::most_chunks);
  if (weights) {
    const int64_t sum_bytes = 4 * conv.kernel.h * conv.kernel.w * round_up(map.c, lanes_of(problem.isa));
    const int64_t most_slabs = std::min(d->chunks, std::max<int64_t>(1, slab_bytes / sum_bytes));
    d->slabs = std::clamp<int64_t>(map.pixels() / 2048, 1, most_slabs);
    kernel.scratch_bytes = d->slabs * sum_bytes;
  }
  d->moments = plan_moments(kernel, problem, Depthwise::most_chunks);
  const Entry<Depthwise> run =
      weights ? PIXELWISE_PICK(problem.isa, depthwise_weights) : PIXELWISE_PICK(problem.isa, depthwise);
  kernel.run = [d, run](const Arguments& a) { run(*d, a); };
  return kernel;
}

}  // namespace

std::string declines_types(const Problem& problem) {
  for (const auto* operands : {&problem.src, &problem.dst, &problem.parameters}) {
    for (const TensorDesc& operand : *operands) {
      if (operand.type != Type::f32) return format("elements of type {}: it is for f32", to_string(operand.type));
    }
  }
  return {};
}

std::string declines_dense(const Convolution& conv, const Problem& problem) {
  if (const std::string types = declines_types(problem); !types.empty()) return types;
  if (pools(problem)) return declines_pooling;
  if (conv.groups > 1) return format("{} groups: it is for 1", conv.groups);
  if (const std::string stride = declines_stride(conv); !stride.empty()) return stride;
  if (conv.kernel.h * conv.kernel.w > Gather::max_taps)
    return format("kernel {}: it is for up to {} taps", to_string(conv.kernel), Gather::max_taps);
  return {};
}

// Real tiles are the fastest in all passes. Emulated ones come last: they are for those who ask for them.
Candidates fast_convolution_kernels(const Convolution& conv, const Problem& problem) {
  const bool tiles = problem.isa == Isa::amx && amx_pays(conv, problem), fewer = winograd_pays(conv, problem);
  Candidates all{depthwise(conv, problem)};
  const auto append_winograd = [&] {
    for (const Kernel& kernel : winograd_kernels(conv, problem)) all.push_back(kernel);
  };
  if (tiles) all.push_back(amx_kernel(conv, problem));
  if (fewer) append_winograd();
  all.push_back(few_channels(conv, problem));
  const Kernel strassen = strassen_kernel(conv, problem);
  const bool seven = strassen_pays(conv, problem);
  if (seven) all.push_back(strassen);
  all.push_back(implicit_gemm(conv, problem));
  if (!fewer) append_winograd();
  if (!seven) all.push_back(strassen);
  if (!tiles) all.push_back(amx_kernel(conv, problem));
  return all;
}

}  // namespace pixelwise
