#include "pixelwise/kernels/conv2d.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/conv2d_operands.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/kernels/pooling.hpp"

namespace pixelwise {
namespace {

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
          run(kernel_named(plain, name), without, Pass::forward, plainly, false);
          expect_moments(o, without, c.name + (", " + name) + ", " + to_string(set));
          served.insert(name);
        }
      }
    }
  }
  for (const char* name : {"implicit_gemm", "few_channels", "depthwise", "strassen", "winograd3", "winograd4",
                           "winograd6", "winograd_pairs", "winograd4x3", "winograd3x4", "winograd4x2", "definition"})
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
