// What the tests of convolution kernels run: one table of cases, and the operands of a pass.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/conv2d.hpp"

namespace pixelwise {

struct Case {
  const char* name;
  Shape fine;
  int64_t coarse_channels;
  Size kernel, stride{1, 1}, pad{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  Size output_pad{0, 0};
};

inline const Case cases[] = {
    {"plain 3x3", {2, 9, 13, 16}, 32, {3, 3}, {1, 1}, {1, 1}},
    {"narrow in, odd out", {3, 9, 31, 3}, 21, {3, 3}, {1, 1}, {1, 1}},
    {"one channel", {1, 7, 5, 1}, 1, {3, 3}, {1, 1}, {1, 1}},
    {"1x1", {2, 5, 33, 64}, 48, {1, 1}},
    {"1x1 stride 2", {1, 9, 12, 16}, 64, {1, 1}, {2, 2}},
    {"1x1 with border", {1, 4, 6, 5}, 7, {1, 1}, {1, 1}, {1, 1}},
    {"stride 2", {2, 13, 16, 21}, 20, {3, 3}, {2, 2}, {1, 1}},
    {"stride 3 beyond the kernel", {1, 11, 12, 8}, 17, {2, 2}, {3, 3}},
    {"7x7 stride 2", {1, 11, 13, 3}, 40, {7, 7}, {2, 2}, {3, 3}},
    {"atrous", {1, 15, 18, 16}, 33, {3, 3}, {1, 1}, {4, 4}, {4, 4}},
    {"atrous beyond the map", {1, 9, 7, 32}, 16, {3, 3}, {1, 1}, {12, 12}, {12, 12}},
    {"stride 2, dilation 2", {1, 14, 15, 12}, 9, {3, 3}, {2, 2}, {2, 2}, {2, 2}},
    {"stride 4, dilation 2", {1, 14, 15, 12}, 9, {3, 3}, {4, 4}, {2, 2}, {2, 2}},
    {"7x7", {2, 12, 13, 20}, 34, {7, 7}, {1, 1}, {3, 3}},
    {"7x7 atrous, no padding", {1, 23, 25, 18}, 9, {7, 7}, {1, 1}, {0, 0}, {2, 3}},
    {"axes differ", {2, 12, 19, 10}, 18, {2, 5}, {1, 2}, {1, 0}, {3, 2}},
    {"atrous, many channels", {2, 11, 9, 70}, 33, {3, 3}, {1, 1}, {5, 4}, {5, 4}},
    {"atrous, many channels, beyond the map", {1, 6, 8, 520}, 70, {3, 2}, {1, 1}, {7, 2}, {7, 2}},
    {"stride 2, dilation 3, many channels", {1, 14, 15, 64}, 66, {3, 3}, {2, 2}, {3, 3}, {3, 3}},
    {"many channels", {1, 3, 5, 300}, 33, {3, 3}, {1, 1}, {1, 1}},
    {"many outputs", {1, 4, 5, 12}, 290, {3, 3}, {1, 1}, {1, 1}},
    {"upsampling", {1, 16, 32, 10}, 11, {16, 16}, {8, 8}, {4, 4}},
    {"upsampling 32 times", {1, 64, 96, 5}, 6, {64, 64}, {32, 32}, {16, 16}},
    {"output pad", {1, 12, 14, 6}, 5, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1, {1, 1}},
    {"tile edges", {2, 12, 25, 34}, 35, {3, 3}, {1, 1}, {1, 1}},
    {"no padding", {1, 14, 7, 20}, 18, {3, 3}},
    {"wide padding", {1, 5, 6, 20}, 18, {3, 3}, {1, 1}, {4, 3}},
    {"atrous tile edges", {2, 13, 26, 20}, 24, {3, 3}, {1, 1}, {3, 2}, {3, 2}},
    {"atrous pairs", {2, 9, 13, 34}, 35, {3, 3}, {1, 1}, {5, 8}, {5, 8}},
    {"atrous pairs and single pixels", {1, 7, 8, 17}, 18, {3, 3}, {1, 1}, {6, 9}, {6, 9}},
    {"bands of tiles", {1, 61, 84, 7}, 9, {3, 3}, {1, 1}, {1, 1}},
    {"7x7, slabs of tiles", {1, 158, 160, 3}, 2, {7, 7}, {1, 1}, {3, 3}},
    {"7x7 atrous, many tiles, blocks of channels", {1, 81, 80, 33}, 2, {7, 7}, {1, 1}, {237, 234}, {79, 78}},
    {"7x7 atrous, many tiles, groups of channels", {1, 47, 47, 3}, 33, {7, 7}, {1, 1}, {138, 138}, {46, 46}},
    {"groups of channels of both maps", {1, 2, 7, 592}, 290, {1, 1}},
    {"1x1, blocks and bands of many channels", {2, 5, 13, 800}, 100, {1, 1}},
    {"1x1, an odd number of pixels", {1, 3, 5, 33}, 47, {1, 1}},
    {"groups of channels, atrous", {1, 5, 6, 304}, 40, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
    {"rows in pieces", {1, 3, 301, 16}, 20, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
    {"groups", {2, 8, 9, 6}, 9, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 3},
    {"depthwise", {2, 9, 10, 24}, 24, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 24},
    {"atrous depthwise", {1, 9, 8, 21}, 21, {3, 3}, {1, 1}, {2, 2}, {2, 2}, 21},
    {"depthwise, whole and partial vectors", {2, 21, 17, 53}, 53, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 53},
    {"depthwise 7x5", {1, 19, 11, 18}, 18, {7, 5}, {1, 1}, {3, 2}, {1, 1}, 18},
    {"depthwise, axes differ", {1, 12, 19, 20}, 20, {2, 5}, {1, 3}, {1, 0}, {3, 2}, 20},
    {"depthwise, stride beyond the kernel", {1, 11, 12, 8}, 8, {2, 2}, {3, 4}, {0, 1}, {1, 1}, 8},
    {"depthwise, atrous beyond the map", {1, 9, 7, 32}, 32, {3, 3}, {1, 1}, {12, 12}, {12, 12}, 32},
    {"depthwise, blocks of pixels, groups of vectors", {1, 19, 23, 208}, 208, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 208},
    {"depthwise, blocks of atrous pixels", {1, 25, 27, 36}, 36, {3, 3}, {1, 1}, {2, 2}, {2, 2}, 36},
    {"depthwise, slabs", {1, 66, 70, 16}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 16},
    {"first layer, rows in parts", {1, 9, 301, 3}, 64, {3, 3}, {2, 2}, {1, 1}},
    {"1x1, a few pixels", {1, 1, 3, 150}, 40, {1, 1}},
    {"1x1, strips of tiles", {2, 19, 23, 40}, 20, {1, 1}},
    {"1x1, slabs of pixels", {2, 33, 40, 35}, 130, {1, 1}},
};

// Random values in a map whose pixels and rows have gaps; the gaps hold NaN, and must stay so.
struct Map {
  std::vector<double> wide;
  std::vector<float> narrow;
  View view64, view32;
  int64_t gap;

  Map(const Shape& shape, uint64_t key, int64_t gap_channels, double low = -1) : gap(gap_channels) {
    const Shape all{shape.n, shape.h, shape.w + (gap ? 1 : 0), shape.c + gap};
    narrow.assign(static_cast<size_t>(all.count()), NAN);
    wide.assign(narrow.size(), NAN);
    const auto part = [&](const View& view) {
      return window(channel_slice(view, gap / 2, shape.c), 0, 0, {shape.h, shape.w});
    };
    view64 = part(dense_view(wide.data(), Type::f64, all));
    view32 = part(dense_view(narrow.data(), Type::f32, all));
    Random random(key);
    each([&](double& w, float& f) { w = f = static_cast<float>(random.next_uniform(low, 1)); });
  }
  template <class Fn>
  void each(const Fn& fn) {
    const Shape s = view64.shape;
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t y = 0; y < s.h; ++y)
        for (int64_t x = 0; x < s.w; ++x)
          for (int64_t c = 0; c < s.c; ++c) fn(view64.at<double>(n, y, x)[c], view32.at<float>(n, y, x)[c]);
  }
  double error() {  // largest difference over largest value; a value that is not finite counts as infinite
    double difference = 0, largest = 1e-30;
    each([&](double& w, float& f) {
      difference = std::isfinite(f) ? std::max(difference, std::abs(w - static_cast<double>(f))) : INFINITY;
      largest = std::max(largest, std::abs(w));
    });
    return difference / largest;
  }
  double error_of_channels() {  // the same, of the worst channel
    std::vector<double> difference(static_cast<size_t>(view64.shape.c)), largest(difference.size(), 1e-30);
    size_t i = 0;
    each([&](double& w, float& f) {
      const size_t c = i++ % difference.size();
      difference[c] = std::isfinite(f) ? std::max(difference[c], std::abs(w - static_cast<double>(f))) : INFINITY;
      largest[c] = std::max(largest[c], std::abs(w));
    });
    double worst = 0;
    for (size_t c = 0; c < difference.size(); ++c) worst = std::max(worst, difference[c] / largest[c]);
    return worst;
  }
  int64_t nans() const {
    int64_t count = 0;
    for (const float f : narrow) count += std::isnan(f);
    return count;
  }
};

struct Setting {
  bool transposed = false, gaps = false, extras = false;  // extras: Source, all of Epilogue, mode add
  bool moments = false;                                   // of dst[0]
};

// The operands of one pass, in both precisions.
struct Operands {
  std::vector<Map> src, dst, parameters, extras;  // extras: see operands()
  std::vector<double> moments;                    // of dst[0]: mean and variance of each channel
};

inline Size coarse_size(const Case& c) {
  return conv2d_size({c.coarse_channels, c.kernel, c.stride, c.pad, c.dilation}, c.fine.size());
}

inline Operands operands(const Case& c, Pass pass, const Setting& s) {
  const int64_t gap = s.gaps ? 3 : 0;
  const Size small = coarse_size(c);
  Shape fine = c.fine;
  const Shape coarse{fine.n, small.h, small.w, c.coarse_channels};
  if (s.transposed) {
    const ConvTranspose2dSpec spec{fine.c, c.kernel, c.stride, c.pad, c.output_pad, c.dilation, c.groups};
    const Size size = conv_transpose2d_size(spec, small);
    fine.h = size.h, fine.w = size.w;
  }
  const Shape x = s.transposed ? coarse : fine, y = s.transposed ? fine : coarse;
  const Shape w = c.groups == fine.c ? Shape{1, c.kernel.h, c.kernel.w, fine.c}
                                     : Shape{c.coarse_channels, c.kernel.h, c.kernel.w, fine.c / c.groups};
  const Shape bias{1, 1, 1, y.c};
  Operands o;
  if (pass == Pass::forward) {
    o.src.emplace_back(x, 1, gap);
    o.dst.emplace_back(y, 2, gap);
    o.parameters.emplace_back(w, 3, 0);
    o.parameters.emplace_back(bias, 4, 0);
  } else if (pass == Pass::backward_data) {
    o.src.emplace_back(y, 5, gap);
    o.dst.emplace_back(x, 6, gap);
    o.parameters.emplace_back(w, 3, 0);
  } else {
    o.src.emplace_back(x, 1, gap);
    o.src.emplace_back(y, 5, gap);
    o.dst.emplace_back(w, 7, 0);
    o.dst.emplace_back(bias, 8, 0);
  }
  const Shape channels{1, 1, 1, o.src[0].view64.shape.c}, results{1, 1, 1, o.dst[0].view64.shape.c};
  o.extras.emplace_back(channels, 10, 0);  // scale and shift of the Source
  o.extras.emplace_back(channels, 11, 0);
  o.extras.emplace_back(results, 14, 0);  // scale and shift of the Epilogue
  o.extras.emplace_back(results, 15, 0);
  o.extras.emplace_back(o.dst[0].view64.shape, 12, gap);  // residual
  o.extras.emplace_back(o.dst[0].view64.shape, 13, gap);  // gate
  return o;
}

inline Candidates candidates(const Case& c, const Setting& s, Problem p) {
  p.moments = s.moments;
  if (!s.transposed) return conv2d_kernels({c.coarse_channels, c.kernel, c.stride, c.pad, c.dilation, c.groups}, p);
  const ConvTranspose2dSpec spec{c.fine.c, c.kernel, c.stride, c.pad, c.output_pad, c.dilation, c.groups};
  return conv_transpose2d_kernels(spec, p);
}

inline Problem problem_of(const Operands& o, Pass pass, bool wide, Isa isa) {
  Problem problem;
  problem.pass = pass;
  problem.isa = isa;
  problem.threads = thread_count();
  const auto describe = [wide](const std::vector<Map>& maps) {
    std::vector<TensorDesc> all;
    for (const Map& m : maps) all.push_back({wide ? Type::f64 : Type::f32, m.view64.shape});
    return all;
  };
  problem.src = describe(o.src), problem.dst = describe(o.dst), problem.parameters = describe(o.parameters);
  return problem;
}

inline void run(const Kernel& kernel, Operands& o, Pass pass, const Setting& s, bool wide) {
  const auto view = [wide](Map& m) { return wide ? m.view64 : m.view32; };
  Arguments a;
  for (Map& m : o.src) a.src.push_back({view(m), {}, {}, Activation::none});
  for (Map& m : o.dst) a.dst.push_back({view(m), s.extras ? Mode::add : Mode::write});
  for (Map& m : o.parameters) a.parameters.push_back(view(m));
  if (s.moments) {
    o.moments.assign(static_cast<size_t>(2 * o.dst[0].view64.shape.c), NAN);
    a.dst.push_back({dense_view(o.moments.data(), Type::f64, {1, 1, 1, 2 * o.dst[0].view64.shape.c}), Mode::write});
  }
  if (s.extras) {
    a.src[0].scale = view(o.extras[0]), a.src[0].shift = view(o.extras[1]), a.src[0].act = Activation::relu;
    if (pass != Pass::backward_weights)
      a.epilogue = {view(o.extras[2]), view(o.extras[3]), view(o.extras[4]),
                    Activation::relu6, view(o.extras[5]), Activation::relu};
  }
  // NaN everywhere in scratch: what is not written first must not be read. 64-byte alignment by hand.
  std::vector<float> memory(static_cast<size_t>((kernel.scratch_bytes + kernel.packed_bytes) / 4 + 64), NAN);
  const auto aligned = (reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64;
  a.packed = reinterpret_cast<std::byte*>(aligned);
  a.scratch = a.packed + (kernel.packed_bytes + 63) / 64 * 64;
  if (kernel.pack) kernel.pack(a);
  kernel.run(a);
}

inline const Kernel& kernel_named(const Candidates& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Kernel& k) { return k.name == name; });
  if (found == all.end()) throw std::invalid_argument("no kernel is called " + name);
  return *found;
}
inline bool is_winograd(const Kernel& kernel) { return std::string(kernel.name).starts_with("winograd"); }
inline bool is_amx(const Kernel& kernel) { return std::string(kernel.name) == "amx"; }

inline std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) all.push_back(static_cast<Isa>(i));
  return all;
}

}  // namespace pixelwise
