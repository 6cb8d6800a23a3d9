// Every rung of the ladder computes the convolution that the library's definition computes.
#include "pixelwise/kernels/ladder.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/conv2d.hpp"

namespace pixelwise {
namespace {

std::vector<float> random_floats(int64_t count, const char* stream) {
  Random random(7, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.next_uniform(-1, 1));
  return values;
}

// The definition, in double.
std::vector<double> expected(const Shape& shape, int64_t out, const std::vector<float>& x,
                             const std::vector<float>& weights) {
  Conv2dSpec spec;
  spec.out_channels = out;
  spec.kernel = {3, 3};
  spec.pad = {1, 1};
  spec.bias = false;
  std::vector<double> pixels(x.begin(), x.end()), taps(weights.begin(), weights.end());
  std::vector<double> y(static_cast<size_t>(shape.pixels() * out));
  const Shape result{shape.n, shape.h, shape.w, out}, weights_shape = conv2d_weights_shape(spec, shape.c);
  Problem problem;
  problem.src = {{Type::f64, shape}};
  problem.dst = {{Type::f64, result}};
  problem.parameters = {{Type::f64, weights_shape}};
  const Kernel kernel = select(conv2d_kernels(spec, problem));
  Arguments arguments;
  Source source;
  source.view = dense_view(pixels.data(), Type::f64, shape);
  arguments.src = {source};
  arguments.parameters = {dense_view(taps.data(), Type::f64, weights_shape)};
  arguments.dst = {{dense_view(y.data(), Type::f64, result), Mode::write}};
  kernel.run(arguments);
  return y;
}

TEST(Ladder, EveryRungIsTheSameConvolution) {
  const std::pair<Shape, int64_t> sizes[] = {
      {{1, 1, 1, 1}, 1}, {{2, 5, 7, 3}, 11}, {{1, 9, 13, 16}, 32}, {{1, 12, 12, 40}, 33}};
  for (const auto& [shape, out] : sizes) {
    const std::vector<float> x = random_floats(shape.count(), "x"), weights = random_floats(out * 9 * shape.c, "w");
    const std::vector<double> wanted = expected(shape, out, x, weights);
    for (const Isa level : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::amx}) {
      if (level > best_isa()) continue;
      for (const Rung& rung : ladder(level)) {
        std::vector<float> y(wanted.size(), 1e9f);
        LadderProblem problem{shape, out, x.data(), weights.data(), y.data()};
        for (const int threads : {1, 3}) {
          set_thread_count(threads);
          rung.run(problem);
          rung.run(problem);  // what a call leaves in the scratch must not matter
          for (size_t i = 0; i < y.size(); ++i) {
            ASSERT_NEAR(y[i], wanted[i], 2e-5 * (1 + static_cast<double>(shape.c)))
                << rung.name << " on " << to_string(level) << ", " << threads << " threads, element " << i;
          }
        }
      }
    }
  }
  set_thread_count(2);
}

TEST(Ladder, TheLastRungIsEmulatedWithoutAmx) {
  EXPECT_EQ(ladder(Isa::baseline).back().name, "amx");
  EXPECT_TRUE(ladder(Isa::baseline).back().emulated);
  EXPECT_TRUE(ladder(Isa::avx512).back().emulated);
  EXPECT_FALSE(ladder(Isa::amx).back().emulated);
}

}  // namespace
}  // namespace pixelwise
