// How much the fast kernels round, and where they are selected for it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/conv2d_operands.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

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
TEST(Conv2dPrecision, WinogradErrsByLessThanPrecisionAllows) {
  const Case deep[] = {{"64 channels", {1, 26, 22, 64}, 32, {3, 3}, {1, 1}, {1, 1}},
                       {"512 channels", {1, 13, 18, 512}, 24, {3, 3}, {1, 1}, {1, 1}},
                       {"atrous", {1, 26, 18, 128}, 24, {3, 3}, {1, 1}, {2, 2}, {2, 2}},
                       {"sub-images of 3x3", {1, 26, 27, 128}, 40, {3, 3}, {1, 1}, {9, 9}, {9, 9}},
                       {"pairs", {1, 13, 18, 128}, 40, {3, 3}, {1, 1}, {9, 9}, {9, 9}},
                       {"many weights", {1, 7, 5, 600}, 200, {3, 3}, {1, 1}, {1, 1}},
                       {"7x7", {1, 14, 12, 512}, 24, {7, 7}, {1, 1}, {3, 3}},
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
    const bool small = std::min(c.fine.h, c.fine.w) < 12;
    const size_t sevens =
        small ? 3 : 7;  // of all passes: F(4x3, 7x7) and F(3x4, 7x7) are for larger maps, not for the weights
    EXPECT_EQ(kernels, (c.kernel.h == 7 ? sevens : pairs ? 12 : 9) * isas().size()) << c.name;
  }
}

// A kernel of the weight gradient, and what it gives with so many threads.
Kernel winograd6_weights(const Case& c, const Operands& like) {
  return kernel_named(candidates(c, {}, problem_of(like, Pass::backward_weights, false, best_isa())), "winograd6");
}
std::vector<float> winograd6_weights_by(int threads, const Case& c) {
  set_thread_count(threads);
  Operands o = rectified(c, Pass::backward_weights);
  run(winograd6_weights(c, o), o, Pass::backward_weights, {}, false);
  set_thread_count(2);
  return o.dst[0].narrow;
}

// So many that the weight gradient has groups of channels and bands of tiles.
TEST(Conv2dPrecision, WinogradWeightsOfManyChannelsAndTiles) {
  const Case c{"", {264, 1, 1, 600}, 600, {3, 3}, {1, 1}, {1, 1}};
  const Operands expected = exact(c, Pass::backward_weights);
  EXPECT_LT(error_of(winograd6_weights(c, expected), c, Pass::backward_weights, expected), 5e-5);
}

// So few and so many that there are slabs of tiles, and bands of a slab.
TEST(Conv2dPrecision, WinogradWeightsOfFewChannelsAndManyTiles) {
  const Case c{"", {1, 143, 146, 146}, 10, {3, 3}, {1, 1}, {1, 1}};
  const Operands expected = exact(c, Pass::backward_weights);
  EXPECT_LT(error_of(winograd6_weights(c, expected), c, Pass::backward_weights, expected), 5e-5);
  const std::vector<float> one = winograd6_weights_by(1, c);
  for (const int threads : {2, 3, 9}) EXPECT_EQ(one, winograd6_weights_by(threads, c)) << threads << " threads";
}

// The same of products of bf16 parts, which err less. The cases reach what small ones do not: channels in blocks, sums
// that wait for the next block, weights that are not packed beforehand, several strips, bands and groups.
TEST(Conv2dPrecision, AmxErrsByLessThanPrecisionAllows) {
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

TEST(Conv2dPrecision, WinogradServesPrecisionFp32WhereItPays) {
  if (std::getenv("PIXELWISE_KERNELS")) GTEST_SKIP() << "other kernels are forced";
  const auto serves = [](Precision precision, const Shape& x, Size dilation, int64_t kernel = 3) {
    const Case c{"", x, x.c, {kernel, kernel}, {1, 1}, dilation, dilation};
    return selected(std::min(best_isa(), Isa::avx512), Pass::forward, c, precision);
  };
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {1, 1}), "winograd4");
  EXPECT_EQ(serves(Precision::fp32, {1, 24, 24, 256}, {1, 1}), "winograd6");
  EXPECT_EQ(serves(Precision::fp32, {1, 32, 32, 32}, {2, 2}), "winograd4");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {1, 1}, 7), "winograd4x3");
  EXPECT_EQ(serves(Precision::fp32, {1, 16, 20, 64}, {1, 1}, 7), "winograd3x4");  // 12x16
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 8, 64}, {1, 1}, 7), "winograd4x2");   // four columns
  EXPECT_EQ(serves(Precision::strict, {1, 20, 20, 64}, {1, 1}), "implicit_gemm");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 16}, {1, 1}), "implicit_gemm");  // few channels
  EXPECT_EQ(serves(Precision::fp32, {1, 26, 27, 64}, {9, 9}), "winograd3");      // sub-images of 3x3
  EXPECT_EQ(serves(Precision::fp32, {1, 24, 23, 64}, {12, 12}), "winograd_pairs");
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {9, 9}), "implicit_gemm");    // of 2x2, nearly all
  EXPECT_EQ(serves(Precision::fp32, {1, 20, 20, 64}, {19, 19}), "implicit_gemm");  // of one pixel
}

TEST(Conv2dPrecision, StrassenRoundsLittle) {
  const auto is_strassen = [](const Kernel& kernel) { return std::string(kernel.name) == "strassen"; };
  const Case wide{"1x1", {1, 9, 15, 800}, 256, {1, 1}};
  int kernels = 0;
  errors_of(wide, is_strassen, [&](const Kernel&, double error) {
    EXPECT_LT(error, 5e-6);
    ++kernels;
  });
  EXPECT_EQ(kernels, 2 * static_cast<int>(isas().size())) << "forward and data gradient, of each instruction set";
}

// So many that the gradient is written past the caches.
TEST(Conv2dPrecision, PointwiseWeightsOfManyChannels) {
  const Case c{"", {1, 5, 5, 2080}, 2060, {1, 1}};
  const Operands expected = exact(c, Pass::backward_weights);
  for (const Isa set : isas()) {
    const Candidates all = candidates(c, {}, problem_of(expected, Pass::backward_weights, false, set));
    EXPECT_LT(error_of(kernel_named(all, "implicit_gemm"), c, Pass::backward_weights, expected), 5e-6)
        << to_string(set);
  }
}

TEST(Conv2dPrecision, StrassenServesLargeProductsOfPrecisionFp32) {
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
TEST(Conv2dPrecision, RealTilesComeFirstAndEmulatedOnesLast) {
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

}  // namespace
}  // namespace pixelwise
