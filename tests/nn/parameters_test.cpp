#include "pixelwise/nn/parameters.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "nn/small_net.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

TEST(Memory, IsZeroedAlignedAndMovable) {
  Memory memory(3'000'001);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % 64, 0u);
  for (int64_t i = 0; i < memory.bytes(); ++i) ASSERT_EQ(memory.data()[i], std::byte{0});
  std::byte* block = memory.data();
  block[7] = std::byte{7};
  Memory other = std::move(memory);
  EXPECT_EQ(other.data(), block);
  EXPECT_EQ(other.data()[7], std::byte{7});
  EXPECT_EQ(memory.data(), nullptr);  // NOLINT: what a move leaves behind is part of the contract
}

TEST(Memory, SaysHowMuchIsWantedAndAvailable) {
  try {
    Memory memory(int64_t{1} << 50);
    FAIL() << "a pebibyte was allocated";
  } catch (const ResourceError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("1073741824.0 MiB"), std::string::npos) << text;
    EXPECT_NE(text.find("available"), std::string::npos) << text;
    EXPECT_NE(text.find("smaller crop or batch"), std::string::npos) << text;
  }
}

Parameter made(Init init, const Shape& shape, Layout layout = Layout::oihw) {
  Parameter parameter;
  parameter.name = "weights";
  parameter.type = Type::f64;
  parameter.shape = shape;
  parameter.layout = layout;
  parameter.init = init;
  parameter.memory = Memory(shape.count() * 8);
  return parameter;
}

struct Statistics {
  double mean = 0, deviation = 0, low = 1e300, high = -1e300;
};
Statistics statistics(const Parameter& parameter) {
  Statistics s;
  double squares = 0;
  const auto count = static_cast<double>(parameter.shape.count());
  for (int64_t i = 0; i < parameter.shape.count(); ++i) {
    const double value = parameter.view().as<double>()[i];
    s.mean += value / count;
    squares += value * value / count;
    s.low = std::min(s.low, value), s.high = std::max(s.high, value);
  }
  s.deviation = std::sqrt(squares - s.mean * s.mean);
  return s;
}

TEST(Initialise, HasTheDeviationsOfThePapers) {
  Parameter he = made(Init::kaiming_normal, {64, 3, 3, 32});
  initialise(he, 1);
  EXPECT_NEAR(statistics(he).deviation, std::sqrt(2.0 / (9 * 32)), 0.02 * std::sqrt(2.0 / (9 * 32)));
  EXPECT_NEAR(statistics(he).mean, 0, 0.002);

  Parameter depthwise = made(Init::kaiming_normal, {1, 3, 3, 2000}, Layout::depthwise);
  initialise(depthwise, 1);
  EXPECT_NEAR(statistics(depthwise).deviation, std::sqrt(2.0 / 9), 0.02);

  Parameter glorot = made(Init::xavier_uniform, {64, 3, 3, 32});
  initialise(glorot, 1);
  const double bound = std::sqrt(6.0 / (9 * 32 + 9 * 64));
  EXPECT_GE(statistics(glorot).low, -bound);
  EXPECT_LE(statistics(glorot).high, bound);
  EXPECT_NEAR(statistics(glorot).deviation, bound / std::sqrt(3.0), 0.02 * bound);

  Parameter small = made(Init::normal_001, {64, 3, 3, 32});
  initialise(small, 1);
  EXPECT_NEAR(statistics(small).deviation, 0.01, 0.0002);

  Parameter ones = made(Init::ones, {1, 1, 1, 9}, Layout::vector);
  initialise(ones, 1);
  EXPECT_EQ(statistics(ones).low, 1);
  EXPECT_EQ(statistics(ones).high, 1);
}

TEST(Initialise, BilinearWeightsKeepAConstantPlane) {
  Parameter upsample = made(Init::bilinear, {3, 4, 4, 3});
  initialise(upsample, 1);
  const View w = upsample.view();
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t o = 0; o < 3; ++o) {
      // stride 2: every output pixel meets one tap of each parity
      for (const int64_t y : {0, 1}) {
        for (const int64_t x : {0, 1}) {
          double sum = 0;
          for (int64_t ky = y; ky < 4; ky += 2) {
            for (int64_t kx = x; kx < 4; kx += 2) sum += w.at<double>(i, ky, kx)[o];
          }
          EXPECT_DOUBLE_EQ(sum, i == o ? 1 : 0);
        }
      }
    }
  }
}

TEST(Parameters, DependOnSeedAndNameOnly) {
  const Graph graph = small_net().graph;
  Parameters a, b, c;
  a.ensure(graph, 1), b.ensure(graph, 1), c.ensure(graph, 2);
  const auto same = [](const Parameters& p, const Parameters& q, const char* name) {
    const View v = p.find(name)->view(), w = q.find(name)->view();
    return std::memcmp(v.data, w.data, static_cast<size_t>(v.shape.count() * size_of(v.type))) == 0;
  };
  EXPECT_TRUE(same(a, b, "conv1.weight"));
  EXPECT_FALSE(same(a, c, "conv1.weight"));
}

TEST(Parameters, EnsureKeepsWhatIsThere) {
  Parameters parameters;
  parameters.ensure(small_net().graph, 1);
  const size_t count = parameters.all().size();
  Parameter& weight = parameters.at("conv1.weight");
  weight.view().as<float>()[0] = 42;
  const uint64_t version = weight.version;
  parameters.ensure(small_net({Phase::inference, {1, 30, 30, 3}}).graph, 7);  // another size, the same parameters
  EXPECT_EQ(parameters.all().size(), count);
  EXPECT_EQ(weight.view().as<float>()[0], 42);
  EXPECT_EQ(weight.version, version);
  EXPECT_THROW(parameters.ensure(small_net({Phase::training, {2, 12, 10, 4}}).graph, 1), UsageError);
  EXPECT_THROW(parameters.at("conv9.weight"), UsageError);
}

TEST(Parameters, CountsWhatIsTrained) {
  Parameters parameters;
  parameters.ensure(small_net().graph, 1);
  // conv1 8 * 27 + 8, batch norm 8 + 8 (running statistics are states), score 5 * 8 + 5, upsample 5 * 16 * 5 + 5
  EXPECT_EQ(parameters.count(), 8 * 27 + 8 + 8 + 8 + 5 * 8 + 5 + 5 * 16 * 5 + 5);
  EXPECT_FALSE(parameters.at("bn1.running_mean").trained);
  EXPECT_TRUE(parameters.at("bn1.weight").trained);
}

TEST(Parameters, KnowsPyTorchsShape) {
  EXPECT_EQ(made(Init::zeros, {8, 3, 5, 4}).torch_shape(), (std::vector<int64_t>{8, 4, 3, 5}));
  EXPECT_EQ(made(Init::zeros, {1, 3, 5, 6}, Layout::depthwise).torch_shape(), (std::vector<int64_t>{6, 1, 3, 5}));
  EXPECT_EQ(made(Init::zeros, {1, 1, 1, 6}, Layout::vector).torch_shape(), (std::vector<int64_t>{6}));
}

}  // namespace
}  // namespace pixelwise
