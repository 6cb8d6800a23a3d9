#include "pixelwise/kernels/conv2d.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/pooling.hpp"

namespace pixelwise {
namespace {

struct Case {
  const char* name;
  Shape fine;
  int64_t coarse_channels;
  Size kernel, stride{1, 1}, pad{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  Size output_pad{0, 0};
};

const Case cases[] = {
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
    {"7x7", {2, 10, 13, 20}, 34, {7, 7}, {1, 1}, {3, 3}},
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
    {"1x1, a few pixels", {1, 1, 3, 70}, 40, {1, 1}},
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

Size coarse_size(const Case& c) {
  return conv2d_size({c.coarse_channels, c.kernel, c.stride, c.pad, c.dilation}, c.fine.size());
}

Operands operands(const Case& c, Pass pass, const Setting& s) {
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

Candidates candidates(const Case& c, const Setting& s, Problem p) {
  p.moments = s.moments;
  if (!s.transposed) return conv2d_kernels({c.coarse_channels, c.kernel, c.stride, c.pad, c.dilation, c.groups}, p);
  const ConvTranspose2dSpec spec{c.fine.c, c.kernel, c.stride, c.pad, c.output_pad, c.dilation, c.groups};
  return conv_transpose2d_kernels(spec, p);
}

Problem problem_of(const Operands& o, Pass pass, bool wide, Isa isa) {
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

void run(const Kernel& kernel, Operands& o, Pass pass, const Setting& s, bool wide) {
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

bool is_winograd(const Kernel& kernel) { return std::string(kernel.name).starts_with("winograd"); }
bool is_amx(const Kernel& kernel) { return std::string(kernel.name) == "amx"; }

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) all.push_back(static_cast<Isa>(i));
  return all;
}

TEST(Conv2d, EveryKernelAgreesWithTheDefinition) {
  for (const Case& c : cases) {
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      for (const Setting s : {Setting{},
                              {false, true, true},
                              {true, false, false},
                              {true, true, true},
                              {false, false, true},
                              {true, false, true}}) {
        if (s.extras && !s.gaps && c.kernel != Size{1, 1}) continue;  // where rows that adjoin are one
        Operands expected = operands(c, pass, s);
        const Candidates definition = candidates(c, s, problem_of(expected, pass, true, Isa::baseline));
        ASSERT_STREQ(definition.back().name, "definition");
        run(definition.back(), expected, pass, s, true);
        for (const Isa set : isas()) {
          Operands fresh = operands(c, pass, s);
          for (const Kernel& kernel : candidates(c, s, problem_of(fresh, pass, false, set))) {
            const bool again = set != Isa::baseline && std::string(kernel.name) == "definition";
            if (!kernel.declined.empty() || again) continue;
            Operands o = operands(c, pass, s);
            run(kernel, o, pass, s, false);
            for (size_t i = 0; i < o.dst.size(); ++i) {
              EXPECT_EQ(o.dst[i].nans(), fresh.dst[i].nans()) << "gaps were written";
              o.dst[i].wide = expected.dst[i].wide;
              o.dst[i].view64.data = o.dst[i].wide.data() + s.gaps * (i == 0 && pass != Pass::backward_weights);
              EXPECT_LT(o.dst[i].error(), is_winograd(kernel) || is_amx(kernel) ? 5e-5 : 1e-5)
                  << c.name << ", " << kernel.name << ", " << to_string(set) << ", pass " << static_cast<int>(pass)
                  << ", transposed " << s.transposed << ", extras " << s.extras << ", dst " << i;
            }
          }
        }
      }
    }
  }
}

// The mean and the variance of each channel, from the results that a kernel has written.
std::vector<double> moments_of(Map& map) {
  const auto channels = static_cast<size_t>(map.view64.shape.c);
  const auto count = static_cast<double>(map.view64.shape.pixels());
  std::vector<double> moments(2 * channels);
  size_t i = 0;
  map.each([&](double&, float& f) { moments[i++ % channels] += static_cast<double>(f) / count; });
  map.each([&](double&, float& f) {
    const size_t c = i++ % channels;
    moments[channels + c] += (static_cast<double>(f) - moments[c]) * (static_cast<double>(f) - moments[c]) / count;
  });
  return moments;
}

// The moments that a kernel has taken against those of what it has written, and that it would write without them.
void expect_moments(Operands& o, const Operands& without, const std::string& what) {
  const std::vector<float>&given = o.dst[0].narrow, &wanted = without.dst[0].narrow;
  EXPECT_EQ(std::memcmp(given.data(), wanted.data(), 4 * given.size()), 0) << what;
  const std::vector<double> moments = moments_of(o.dst[0]);
  const size_t channels = moments.size() / 2;
  for (size_t i = 0; i < channels; ++i) {
    const double mean = moments[i], variance = moments[channels + i], rounding = 6e-8 * std::abs(mean);
    EXPECT_NEAR(o.moments[i], mean, 1e-6 * std::sqrt(variance) + rounding) << what << ", channel " << i;
    EXPECT_NEAR(o.moments[channels + i], variance, 1e-5 * variance + 2 * rounding * std::sqrt(variance) + 1e-7)
        << what << ", channel " << i;
  }
}

// Every kernel that takes the moments of its results. Where the mean is a thousand times the deviation, as in every
// other channel here, the variance is not lost.
TEST(Conv2d, TakesMomentsOfItsResult) {
  std::set<std::string> served;
  for (const Case& c : cases) {
    for (const Setting s : {Setting{false, false, false, true}, {true, true, false, true}}) {
      const Setting plainly{s.transposed, s.gaps};
      const auto given = [&] {
        Operands o = operands(c, Pass::forward, s);
        int i = 0;
        o.parameters[1].each([&](double&, float& bias) { bias += i++ % 2 ? 1000.0f : 0.0f; });
        return o;
      };
      for (const Isa set : isas()) {
        const Problem problem = problem_of(given(), Pass::forward, false, set);
        const Candidates plain = candidates(c, plainly, problem);
        for (const Kernel& kernel : candidates(c, s, problem)) {
          const std::string name = kernel.name;
          if (!kernel.declined.empty() || (name == "definition" && set != Isa::baseline)) continue;
          Operands o = given(), without = given();
          run(kernel, o, Pass::forward, s, false);
          run(*std::find_if(plain.begin(), plain.end(), [&](const Kernel& k) { return k.name == name; }), without,
              Pass::forward, plainly, false);
          expect_moments(o, without, c.name + (", " + name) + ", " + to_string(set));
          served.insert(name);
        }
      }
    }
  }
  for (const char* name : {"implicit_gemm", "few_channels", "depthwise", "strassen", "winograd3", "winograd4",
                           "winograd6", "winograd_pairs", "winograd4x3", "winograd4x2", "definition"})
    EXPECT_TRUE(served.count(name)) << name;
  EXPECT_FALSE(served.count("im2col") || served.count("amx"));
}

// Every kernel that pools its result gives the maxima of what the definition gives, at odd edges too; a NaN stays.
TEST(Conv2d, PoolsItsResult) {
  const Case pooled_cases[] = {{"3x3", {2, 13, 15, 20}, 35, {3, 3}, {1, 1}, {1, 1}},
                               {"even", {1, 24, 18, 64}, 64, {3, 3}, {1, 1}, {1, 1}},
                               {"7x7", {1, 9, 10, 20}, 34, {7, 7}, {1, 1}, {3, 3}},
                               {"stride 2", {1, 12, 11, 5}, 7, {3, 3}, {2, 2}, {1, 1}}};
  for (const Case& c : pooled_cases) {
    for (const bool ceil : {false, true}) {
      Operands expected = operands(c, Pass::forward, {});
      run(candidates(c, {}, problem_of(expected, Pass::forward, true, Isa::baseline)).back(), expected, Pass::forward,
          {}, true);
      const View whole = expected.dst[0].view64;
      const Size size = pool_size({2, 2}, {2, 2}, {0, 0}, ceil, whole.shape.size());
      const Shape small{whole.shape.n, size.h, size.w, whole.shape.c};
      const auto largest = [&](int64_t n, int64_t y, int64_t x, int64_t o) {
        double most = -INFINITY;
        for (int64_t fy = 2 * y; fy < std::min(2 * y + 2, whole.shape.h); ++fy)
          for (int64_t fx = 2 * x; fx < std::min(2 * x + 2, whole.shape.w); ++fx)
            most = std::max(most, whole.at<double>(n, fy, fx)[o]);
        return most;
      };
      size_t served = 0;
      for (const Isa set : isas()) {
        Operands o = operands(c, Pass::forward, {});
        Problem problem = problem_of(o, Pass::forward, false, set);
        problem.dst.push_back({Type::f32, small});
        for (const Kernel& kernel : candidates(c, {}, problem)) {
          if (!kernel.declined.empty()) continue;
          ++served;
          o.dst[0] = Map(small, 9, 3);
          const int64_t gaps = o.dst[0].nans();
          run(kernel, o, Pass::forward, {}, false);
          EXPECT_EQ(o.dst[0].nans(), gaps) << "gaps were written";
          double worst = 0, most = 0;
          for (int64_t n = 0; n < small.n; ++n)
            for (int64_t y = 0; y < small.h; ++y)
              for (int64_t x = 0; x < small.w; ++x)
                for (int64_t channel = 0; channel < small.c; ++channel) {
                  const double wanted = largest(n, y, x, channel);
                  const auto given = static_cast<double>(o.dst[0].view32.at<float>(n, y, x)[channel]);
                  worst = std::max(worst, std::abs(wanted - given));
                  most = std::max(most, std::abs(wanted));
                }
          EXPECT_LT(worst, 5e-5 * most) << c.name << ", " << kernel.name << ", " << to_string(set);
          o.src[0].view32.at<float>(0, 1, 1)[0] = NAN;
          run(kernel, o, Pass::forward, {}, false);
          EXPECT_TRUE(std::isnan(o.dst[0].view32.at<float>(0, 0, 0)[0])) << c.name << ", " << kernel.name;
          o = operands(c, Pass::forward, {});
        }
      }
      // The definition, and Winograd with even tiles.
      EXPECT_EQ(served, (c.stride.h == 2 ? 1 : c.kernel.h == 7 ? 2 : 3) * isas().size()) << c.name;
    }
  }
}

// Operands on maps as a ReLU leaves them.
Operands rectified(const Case& c, Pass pass) {
  Operands o = operands(c, pass, {});
  o.src[0].each([](double& w, float& f) { w = f = std::max(f, 0.0f); });
  return o;
}

// The results of the definition, in double.
Operands exact(const Case& c, Pass pass) {
  Operands o = rectified(c, pass);
  run(candidates(c, {}, problem_of(o, pass, true, Isa::baseline)).back(), o, pass, {}, true);
  return o;
}

// The error of a kernel's worst channel.
double error_of(const Kernel& kernel, const Case& c, Pass pass, const Operands& expected) {
  Operands o = rectified(c, pass);
  run(kernel, o, pass, {}, false);
  o.dst[0].wide = expected.dst[0].wide;
  o.dst[0].view64.data = o.dst[0].wide.data();
  return o.dst[0].error_of_channels();
}

// fn(kernel, error) for the kernels that `wanted` names, in all passes.
template <class Wanted, class Fn>
void errors_of(const Case& c, const Wanted& wanted, const Fn& fn) {
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    const Operands expected = exact(c, pass);
    for (const Isa set : isas()) {
      for (const Kernel& kernel : candidates(c, {}, problem_of(expected, pass, false, set))) {
        if (!wanted(kernel) || !kernel.declined.empty()) continue;
        SCOPED_TRACE(c.name + std::string(", ") + kernel.name + ", " + to_string(set));
        fn(kernel, error_of(kernel, c, pass, expected));
      }
    }
  }
}

// What precision fp32 allows. Some have more weights than are transformed beforehand.
TEST(Conv2d, WinogradErrsByLessThanPrecisionAllows) {
  const Case deep[] = {{"64 channels", {1, 26, 22, 64}, 32, {3, 3}, {1, 1}, {1, 1}},
                       {"512 channels", {1, 13, 18, 512}, 24, {3, 3}, {1, 1}, {1, 1}},
                       {"atrous", {1, 26, 18, 128}, 24, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
                       {"sub-images of 3x3", {1, 26, 27, 128}, 40, {3, 3}, {1, 1}, {9, 9}, {9, 9}},
                       {"pairs", {1, 13, 18, 128}, 40, {3, 3}, {1, 1}, {9, 9}, {9, 9}},
                       {"many weights", {1, 7, 5, 600}, 200, {3, 3}, {1, 1}, {1, 1}},
                       {"7x7", {1, 14, 11, 512}, 24, {7, 7}, {1, 1}, {3, 3}},
                       {"7x7, many tiles", {1, 90, 100, 16}, 16, {7, 7}, {1, 1}, {3, 3}},
                       {"7x7, many weights", {1, 5, 4, 600}, 100, {7, 7}, {1, 1}, {3, 3}},
                       {"many weights, many images", {9, 2, 1, 200}, 600, {3, 3}, {1, 1}, {1, 1}},
                       {"groups of weights", {150, 2, 1, 256}, 160, {3, 3}, {1, 1}, {1, 1}},
                       {"groups of weights, by points", {170, 2, 1, 200}, 200, {3, 3}, {1, 1}, {1, 1}}};
  for (const Case& c : deep) {
    size_t kernels = 0;
    errors_of(c, is_winograd, [&](const Kernel&, double error) {
      EXPECT_LT(error, 5e-5);
      ++kernels;
    });
    const bool pairs = c.fine.h <= 2 * c.dilation.h && c.fine.w <= 2 * c.dilation.w;
    const bool small = std::min(c.fine.h, c.fine.w) < 8;
    const size_t sevens = small ? 3 : 5;  // of all passes: F(4x3, 7x7) is for larger maps, and not for the weights
    EXPECT_EQ(kernels, (c.kernel.h == 7 ? sevens : pairs ? 12 : 9) * isas().size()) << c.name;
  }
}

// So many that the weight gradient has groups of channels and bands of tiles.
TEST(Conv2d, WinogradWeightsOfManyChannelsAndTiles) {
  const Case c{"", {264, 1, 1, 600}, 600, {3, 3}, {1, 1}, {1, 1}};
  const Operands expected = exact(c, Pass::backward_weights);
  const Candidates all = candidates(c, {}, problem_of(expected, Pass::backward_weights, false, best_isa()));
  const auto found =
      std::find_if(all.begin(), all.end(), [](const Kernel& k) { return std::string(k.name) == "winograd6"; });
  ASSERT_NE(found, all.end());
  EXPECT_LT(error_of(*found, c, Pass::backward_weights, expected), 5e-5);
}

// The same of products of bf16 parts, which err less. The cases reach what small ones do not: channels in blocks, sums
// that wait for the next block, weights that are not packed beforehand, several strips, bands and groups.
TEST(Conv2d, AmxErrsByLessThanPrecisionAllows) {
  const Case deep[] = {{"64 channels", {1, 26, 22, 64}, 32, {3, 3}, {1, 1}, {1, 1}},
                       {"512 channels", {1, 9, 14, 512}, 24, {3, 3}, {1, 1}, {1, 1}},
                       {"atrous, strips of classes", {1, 26, 18, 64}, 24, {3, 3}, {1, 1}, {6, 6}, {6, 6}},
                       {"channels in blocks", {1, 2, 40, 2100}, 20, {3, 3}, {1, 1}, {1, 1}},
                       {"channels in blocks, 1x1", {1, 2, 60, 2080}, 40, {1, 1}},
                       {"channels in blocks, 1x1, data gradient", {1, 2, 60, 40}, 2080, {1, 1}},
                       {"many weights", {1, 3, 4, 1000}, 980, {3, 3}, {1, 1}, {1, 1}},
                       {"many weights, stride 2", {1, 5, 3, 1000}, 980, {3, 3}, {2, 2}, {1, 1}},
                       {"many rows", {1, 150, 40, 33}, 20, {3, 3}, {1, 1}, {1, 1}},
                       {"few channels", {2, 60, 70, 3}, 33, {7, 7}, {2, 2}, {3, 3}},
                       {"groups of channels", {1, 5, 6, 600}, 580, {1, 1}},
                       {"groups of channels, 7x7", {1, 4, 5, 70}, 200, {7, 7}, {1, 1}, {3, 3}}};
  for (const Case& c : deep) {
    size_t kernels = 0;
    double worst = 0;
    errors_of(c, is_amx, [&](const Kernel&, double error) {
      EXPECT_LT(error, 2e-5);
      worst = std::max(worst, error);
      ++kernels;
    });
    EXPECT_EQ(kernels, 3 * isas().size()) << c.name;
    RecordProperty(c.name, std::to_string(worst));
  }
}

// The kernel that serves a convolution with this instruction set, whatever this processor has.
std::string selected(Isa set, Pass pass, const Case& c, Precision precision = Precision::fp32) {
  Problem problem = problem_of(operands(c, pass, {}), pass, false, set);
  problem.precision = precision;
  return select(candidates(c, {}, problem)).name;
}

TEST(Conv2d, WinogradServesPrecisionFp32WhereItPays) {
  if (std::getenv("PIXELWISE_KERNELS")) GTEST_SKIP() << "other kernels are forced";
  const auto serves = [](Precision precision, const Shape& x, Size dilation, int64_t kernel = 3) {
    const Case c{"", x, x.c, {kernel, kernel}, {1, 1}, dilation, dilation};
    return selected(std::min(best_isa(), Isa::avx512), Pass::forward, c, precision);
  };
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {1, 1}), "winograd4");
  EXPECT_EQ(serves(Precision::fp32, {1, 24, 24, 256}, {1, 1}), "winograd6");
  EXPECT_EQ(serves(Precision::fp32, {1, 32, 32, 32}, {2, 2}), "winograd4");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {1, 1}, 7), "winograd4x3");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 8, 64}, {1, 1}, 7), "winograd4x2");  // four columns
  EXPECT_EQ(serves(Precision::strict, {1, 20, 20, 64}, {1, 1}), "implicit_gemm");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 16}, {1, 1}), "implicit_gemm");  // few channels
  EXPECT_EQ(serves(Precision::fp32, {1, 26, 27, 64}, {9, 9}), "winograd3");      // sub-images of 3x3
  EXPECT_EQ(serves(Precision::fp32, {1, 24, 23, 64}, {12, 12}), "winograd_pairs");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {9, 9}), "implicit_gemm");    // of 2x2, nearly all
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {19, 19}), "implicit_gemm");  // of one pixel
}

TEST(Conv2d, StrassenRoundsLittle) {
  const auto is_strassen = [](const Kernel& kernel) { return std::string(kernel.name) == "strassen"; };
  const Case wide{"1x1", {1, 9, 15, 800}, 256, {1, 1}};
  int kernels = 0;
  errors_of(wide, is_strassen, [&](const Kernel&, double error) {
    EXPECT_LT(error, 5e-6);
    ++kernels;
  });
  EXPECT_EQ(kernels, 2 * static_cast<int>(isas().size())) << "forward and data gradient, of each instruction set";
}

TEST(Conv2d, StrassenServesLargeProductsOfPrecisionFp32) {
  if (std::getenv("PIXELWISE_KERNELS")) GTEST_SKIP() << "other kernels are forced";
  const auto serves = [](Pass pass, Precision precision, const Shape& x, int64_t channels) {
    return selected(Isa::avx512, pass, {"", x, channels, {1, 1}}, precision);
  };
  const Shape map{1, 12, 16, 512}, small{1, 3, 5, 512}, few{1, 12, 16, 128};
  for (const Pass pass : {Pass::forward, Pass::backward_data}) {
    EXPECT_EQ(serves(pass, Precision::fp32, map, 512), "strassen");
    EXPECT_EQ(serves(pass, Precision::strict, map, 512), "implicit_gemm");
    EXPECT_EQ(serves(pass, Precision::fp32, small, 512), "implicit_gemm");
    EXPECT_EQ(serves(pass, Precision::fp32, few, 512), "implicit_gemm");
  }
  EXPECT_EQ(serves(Pass::backward_weights, Precision::fp32, map, 512), "implicit_gemm");
}

// Selection is a pure function: what a processor with AMX would choose is known on every other.
TEST(Conv2d, RealTilesComeFirstAndEmulatedOnesLast) {
  if (std::getenv("PIXELWISE_KERNELS")) GTEST_SKIP() << "other kernels are forced";
  const Case wide{"3x3", {1, 20, 20, 64}, 64, {3, 3}, {1, 1}, {1, 1}}, pixelwise{"1x1", {1, 9, 9, 128}, 256, {1, 1}},
      narrow{"few channels", {1, 40, 40, 16}, 96, {1, 1}},
      first{"first layer", {1, 40, 40, 3}, 64, {7, 7}, {2, 2}, {3, 3}}, colours{"3 -> 3", {1, 9, 9, 3}, 3, {1, 1}},
      depthwise{"depthwise", {1, 9, 9, 64}, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 64};
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    EXPECT_EQ(selected(Isa::amx, pass, wide), "amx");
    EXPECT_EQ(selected(Isa::avx512, pass, wide), "winograd4");
    EXPECT_EQ(selected(Isa::amx, pass, pixelwise), pass == Pass::backward_weights ? "implicit_gemm" : "amx");
    EXPECT_EQ(selected(Isa::avx512, pass, pixelwise), "implicit_gemm");
    EXPECT_EQ(selected(Isa::amx, pass, narrow), "implicit_gemm");
    EXPECT_EQ(selected(Isa::amx, pass, colours), pass == Pass::backward_data ? "implicit_gemm" : "few_channels");
    EXPECT_EQ(selected(Isa::amx, pass, depthwise), "depthwise");
    EXPECT_EQ(selected(Isa::amx, pass, wide, Precision::strict), "implicit_gemm");
  }
  EXPECT_EQ(selected(Isa::amx, Pass::forward, first), "amx");
  force_kernels("amx");
  for (const Isa set : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::amx}) {
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      EXPECT_EQ(selected(set, pass, wide), "amx");
      EXPECT_EQ(selected(set, pass, colours), "amx");
      EXPECT_NE(selected(set, pass, wide, Precision::strict), "amx");
    }
  }
  force_kernels("");
}

TEST(Conv2d, BitsDoNotDependOnThreads) {
  for (const Case& c : cases) {
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      const Setting s{false, false, false, pass == Pass::forward};
      std::map<std::string, std::vector<float>> first;  // by kernel
      std::map<std::string, std::vector<double>> moments;
      for (const int threads : {1, 2, 3}) {
        set_thread_count(threads);
        for (const Kernel& kernel : candidates(c, s, problem_of(operands(c, pass, s), pass, false, best_isa()))) {
          const std::string name = kernel.name;
          if (!kernel.declined.empty() || name == "definition") continue;
          Operands o = operands(c, pass, s);
          run(kernel, o, pass, s, false);
          if (threads == 1) first[name] = o.dst[0].narrow, moments[name] = o.moments;
          EXPECT_EQ(moments[name], o.moments) << c.name << ", " << name << ", " << threads << " threads";
          EXPECT_EQ(first[name], o.dst[0].narrow) << c.name << ", " << name << ", " << threads << " threads";
        }
      }
    }
  }
  set_thread_count(2);
}

// The definition against sums done by hand: x = 1 2 / 3 4, w = 10 20 / 30 40, one pixel of border.
TEST(Conv2d, HandComputed) {
  double x[] = {1, 2, 3, 4}, w[] = {10, 20, 30, 40}, b[] = {1}, y[9] = {};
  Problem p;
  p.src = {{Type::f64, {1, 2, 2, 1}}}, p.dst = {{Type::f64, {1, 3, 3, 1}}};
  p.parameters = {{Type::f64, {1, 2, 2, 1}}, {Type::f64, {1, 1, 1, 1}}};
  Arguments a;
  a.src = {{dense_view(x, Type::f64, {1, 2, 2, 1}), {}, {}, Activation::none}};
  a.dst = {{dense_view(y, Type::f64, {1, 3, 3, 1}), Mode::write}};
  a.parameters = {dense_view(w, Type::f64, {1, 2, 2, 1}), dense_view(b, Type::f64, {1, 1, 1, 1})};
  double moments[2] = {};
  a.dst.push_back({dense_view(moments, Type::f64, {1, 1, 1, 2}), Mode::write});
  conv2d_kernels({1, {2, 2}, {1, 1}, {1, 1}}, p).back().run(a);
  const double wanted[] = {41, 111, 61, 141, 301, 141, 61, 111, 41};
  for (int i = 0; i < 9; ++i) EXPECT_EQ(y[i], wanted[i]) << i;
  EXPECT_DOUBLE_EQ(moments[0], 1009 / 9.0);
  EXPECT_NEAR(moments[1], 474200 / 81.0, 1e-9);
}

TEST(Conv2d, AdjointIdentity) {  // <conv x, y> = <x, conv^T y> = <w, gradient of w>
  for (const Case& c : cases) {
    const Setting s{};
    Operands forward = operands(c, Pass::forward, s), data = operands(c, Pass::backward_data, s),
             weights = operands(c, Pass::backward_weights, s);
    forward.parameters[1].each([](double& w, float&) { w = 0; });
    for (auto* o : {&forward, &data, &weights}) {
      const Pass pass = o == &forward ? Pass::forward : o == &data ? Pass::backward_data : Pass::backward_weights;
      run(candidates(c, s, problem_of(*o, pass, true, Isa::baseline)).back(), *o, pass, s, true);
    }
    const auto dot = [](const Map& a, const Map& b) {
      double sum = 0;
      for (size_t i = 0; i < a.wide.size(); ++i) sum += a.wide[i] * b.wide[i];
      return sum;
    };
    const double y = dot(forward.dst[0], data.src[0]), x = dot(forward.src[0], data.dst[0]),
                 w = dot(forward.parameters[0], weights.dst[0]);
    EXPECT_NEAR(x, y, 1e-9) << c.name;
    EXPECT_NEAR(w, y, 1e-9) << c.name;
  }
}

TEST(Conv2d, Sizes) {
  EXPECT_EQ(conv2d_size({8, {3, 3}, {2, 2}, {1, 1}}, {7, 8}), (Size{4, 4}));
  EXPECT_LE(conv2d_size({8, {7, 7}}, {3, 9}).h, 0);
  EXPECT_EQ(conv_transpose2d_size({8, {16, 16}, {8, 8}, {4, 4}}, {5, 6}), (Size{40, 48}));
  EXPECT_EQ(conv2d_weights_shape({24, {3, 3}, {1, 1}, {0, 0}, {1, 1}, 24}, 24), (Shape{1, 3, 3, 24}));
  EXPECT_EQ(conv_transpose2d_weights_shape({21, {4, 4}}, 512), (Shape{512, 4, 4, 21}));
}

TEST(Conv2d, BilinearWeights) {  // the 4x4 kernel of FCN's upsampling by 2: 1/4 3/4 3/4 1/4
  std::vector<float> w(2 * 4 * 4 * 2);
  fill_bilinear(dense_view(w.data(), Type::f32, {2, 4, 4, 2}));
  EXPECT_FLOAT_EQ(w[0], 0.0625f);
  EXPECT_FLOAT_EQ(w[(1 * 4 + 1) * 2], 0.5625f);
  EXPECT_FLOAT_EQ(w[(1 * 4 + 1) * 2 + 1], 0);
  EXPECT_FLOAT_EQ(w[((4 + 1) * 4 + 3) * 2 + 1], 0.1875f);
}

}  // namespace
}  // namespace pixelwise
