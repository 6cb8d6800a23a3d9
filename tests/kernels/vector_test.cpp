// The vector kernels of memory-bound operators on maps with gaps, in every instruction set, with one to three threads:
// they agree with the definition, leave the gaps alone, and give the same bits with any number of threads. (That they
// agree over the whole case tables is tested in tests/nn/operator_test.cpp.)
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/batch_norm.hpp"
#include "pixelwise/kernels/classify.hpp"
#include "pixelwise/kernels/elementwise.hpp"
#include "pixelwise/kernels/pooling.hpp"
#include "pixelwise/kernels/resize.hpp"

namespace pixelwise {
namespace {

using KernelsOf = std::function<Candidates(const Problem&)>;

struct Case {
  std::string name;
  KernelsOf kernels;
  Pass pass;
  std::vector<TensorDesc> src, dst;
  bool adds = true;              ///< dst may be added to
  Activation act{}, gate_act{};  ///< of the epilogue
  std::vector<Shape> parameters{};
  int ids = 0;  ///< u8 operands hold numbers below this
};

TensorDesc map(int64_t n, int64_t h, int64_t w, int64_t c) { return {Type::f32, {n, h, w, c}}; }
TensorDesc bytes(int64_t n, int64_t h, int64_t w, int64_t c = 1) { return {Type::u8, {n, h, w, c}}; }

// Two passes of one specification.
template <class Spec>
KernelsOf of(Candidates (*kernels)(const Spec&, const Problem&), const Spec& spec) {
  return [=](const Problem& problem) { return kernels(spec, problem); };
}

std::vector<Case> cases() {
  const auto forward = Pass::forward, backward = Pass::backward;
  const TensorDesc x = map(2, 41, 37, 19), scores = map(2, 41, 37, 21), ids = bytes(2, 41, 37), one = map(1, 1, 1, 1);
  const auto relu6 = of(activation_kernels, ActivationSpec{Activation::relu6});
  const auto three = of(max_pool2d_kernels, MaxPool2dSpec{{3, 3}, {2, 2}, {1, 1}});
  const auto unpool = of(max_unpool2d_kernels, MaxUnpool2dSpec{{3, 3}, {2, 2}, {1, 1}, {41, 37}});
  const auto mean = of(avg_pool2d_kernels, AvgPool2dSpec{{3, 3}, {2, 2}, {1, 1}, false, false});
  const auto global = of(global_avg_pool_kernels, GlobalAvgPoolSpec{});
  const auto larger = of(resize_kernels, ResizeSpec{{77, 50}});
  const auto crop = of(crop_kernels, CropSpec{3, 5, {30, 20}}), pad = of(pad_kernels, PadSpec{1, 2, 3, 4, -1.5});
  const auto loss = of(softmax_cross_entropy_kernels, SoftmaxCrossEntropySpec{LossNormalization::mean, 0.1, 7, true});
  SoftmaxCrossEntropySpec of_resized{LossNormalization::mean, 0.1, 7, true};
  of_resized.resize = {{77, 150}};  // strips of several rows
  const auto resized_loss = of(softmax_cross_entropy_kernels, of_resized);
  const TensorDesc large = map(2, 77, 150, 21), large_ids = bytes(2, 77, 150);
  const auto norm = of(batch_norm_kernels, BatchNormSpec{});
  const auto dropout = of(dropout_kernels, DropoutSpec{0.3, false, Phase::training});
  const TensorDesc pooled = map(2, 21, 19, 19), index = bytes(2, 21, 19, 19), channel = map(1, 1, 1, 19);
  const std::vector<Shape> weights{{1, 1, 1, 21}}, four(4, Shape{1, 1, 1, 19});
  return {
      {"activation", relu6, forward, {x}, {x}},
      {"activation backward", relu6, backward, {x, x}, {x}},
      {"add", of(add_kernels, AddSpec{}), forward, {x, x, x}, {x}, true, Activation::relu},
      {"add backward", of(add_kernels, AddSpec{}), backward, {x}, {x, x}},
      {"concat", of(concat_kernels, ConcatSpec{}), forward, {x, scores}, {map(2, 41, 37, 40)}},
      {"concat backward", of(concat_kernels, ConcatSpec{}), backward, {map(2, 41, 37, 40)}, {x, scores}},
      {"crop", crop, forward, {x}, {map(2, 30, 20, 19)}},
      {"crop backward", crop, backward, {map(2, 30, 20, 19)}, {x}},
      {"pad", pad, forward, {x}, {map(2, 44, 44, 19)}, false},
      {"pad backward", pad, backward, {map(2, 44, 44, 19)}, {x}},
      {"dropout", dropout, forward, {x}, {x}},
      {"dropout of maps", of(dropout_kernels, DropoutSpec{0.5, true, Phase::training}), backward, {x}, {x}},
      {"max_pool2d", three, forward, {x}, {pooled, index}, false},
      {"max_pool2d backward", three, backward, {pooled, index}, {x}, true, {}, {}, {}, 9},
      {"max_unpool2d", unpool, forward, {pooled, index}, {x}, false, {}, {}, {}, 9},
      {"max_unpool2d backward", unpool, backward, {x, index}, {pooled}, true, {}, {}, {}, 9},
      {"avg_pool2d", mean, forward, {x}, {pooled}, false},
      {"avg_pool2d backward", mean, backward, {pooled}, {x}},
      {"global_avg_pool", global, forward, {map(3, 9, 7, 300)}, {map(3, 1, 1, 300)}, false},
      {"global_avg_pool backward", global, backward, {map(3, 1, 1, 300)}, {map(3, 9, 7, 300)}},
      {"resize", larger, forward, {x}, {map(2, 77, 50, 19)}},
      {"resize backward", larger, backward, {map(2, 77, 50, 19)}, {x}},
      {"softmax", of(softmax_kernels, SoftmaxSpec{}), forward, {scores}, {scores}, false},
      {"softmax backward", of(softmax_kernels, SoftmaxSpec{}), backward, {scores, scores}, {scores}},
      {"argmax", of(argmax_kernels, ArgmaxSpec{}), forward, {scores}, {ids}, false},
      {"one_hot", of(one_hot_kernels, OneHotSpec{21, 7}), forward, {ids}, {scores}, false, {}, {}, {}, 21},
      {"loss, ids", loss, forward, {scores, ids}, {one, one}, false, {}, {}, weights, 21},
      {"loss, planes", loss, forward, {scores, scores}, {one, one}, false, {}, {}, weights},
      {"loss, ids backward", loss, backward, {scores, ids, one, one}, {scores}, true, {}, {}, weights, 21},
      {"loss, planes backward", loss, backward, {scores, scores, one, one}, {scores}, true, {}, {}, weights},
      {"resized loss, ids", resized_loss, forward, {scores, large_ids}, {one, one}, false, {}, {}, weights, 21},
      {"resized loss, planes", resized_loss, forward, {scores, large}, {one, one}, false, {}, {}, weights},
      {"resized loss, ids backward",
       resized_loss,
       backward,
       {scores, large_ids, one, one},
       {scores},
       true,
       {},
       {},
       weights,
       21},
      {"resized loss, planes backward",
       resized_loss,
       backward,
       {scores, large, one, one},
       {scores},
       true,
       {},
       {},
       weights},
      {"batch_norm", norm, forward, {x}, {x, channel, channel, channel, channel}, false, Activation::relu, {}, four},
      {"batch_norm backward",
       norm,
       backward,
       {x, x, channel, channel, channel, channel},
       {x, channel, channel},
       true,
       {},
       Activation::relu,
       four},
  };
}

// A map whose pixels and rows have gaps (three channels after each pixel, a pixel after each row), of which the bytes
// are 0x55.
struct Map {
  std::vector<uint8_t> memory;
  View view;

  Map(const TensorDesc& desc, uint64_t seed, int ids) {
    const Shape s = desc.shape, all{s.n, s.h, s.w + 1, s.c + 3};
    memory.assign(static_cast<size_t>(all.count() * size_of(desc.type)), 0x55);
    view = window(channel_slice(dense_view(memory.data(), desc.type, all), 0, s.c), 0, 0, s.size());
    const Random random(seed);
    uint64_t i = 0;
    each([&](int64_t n, int64_t y, int64_t x, int64_t c) {
      if (view.type == Type::u8) {
        view.at<uint8_t>(n, y, x)[c] = static_cast<uint8_t>(ids ? index(random.below(i++, 81), n, y, x, ids) : 0);
      } else {
        view.at<float>(n, y, x)[c] = static_cast<float>(random.uniform(i++) + (s.count() == s.c ? 0.5 : -0.5));
      }
    });
  }
  // A number below `ids`; an index of a 3x3 window with a border of 1 that leads into the map.
  uint64_t index(uint64_t number, int64_t, int64_t y, int64_t x, int ids) const {
    if (ids != 9) return number % static_cast<uint64_t>(ids);
    uint64_t row = number / 9 % 3, column = number % 3;
    if (y == 0 && row == 0) row = 1;
    if (x == 0 && column == 0) column = 1;
    if (y == view.shape.h - 1 && row == 2) row = 1;
    if (x == view.shape.w - 1 && column == 2) column = 1;
    return row * 3 + column;
  }
  template <class Fn>
  void each(const Fn& fn) const {
    for (int64_t n = 0; n < view.shape.n; ++n)
      for (int64_t y = 0; y < view.shape.h; ++y)
        for (int64_t x = 0; x < view.shape.w; ++x)
          for (int64_t c = 0; c < view.shape.c; ++c) fn(n, y, x, c);
  }
  double at(int64_t n, int64_t y, int64_t x, int64_t c) const {
    return view.type == Type::u8 ? view.at<uint8_t>(n, y, x)[c] : static_cast<double>(view.at<float>(n, y, x)[c]);
  }
  // Everything outside the view.
  std::vector<uint8_t> gaps() const {
    std::vector<uint8_t> rest = memory;
    const auto size = static_cast<size_t>(size_of(view.type));
    each([&](int64_t n, int64_t y, int64_t x, int64_t c) {
      const auto offset =
          static_cast<size_t>(n * view.image_stride + y * view.row_stride + x * view.pixel_stride + c) * size;
      std::memset(rest.data() + offset, 0x55, size);
    });
    return rest;
  }
};

struct Result {
  std::vector<Map> dst;
  std::vector<std::vector<float>> parameters;
};

const Kernel& named(const Candidates& candidates, const std::string& name) {
  for (const Kernel& kernel : candidates) {
    if (kernel.name == name) return kernel;
  }
  throw UsageError("no kernel " + name);
}

Result run(const Case& c, const std::string& name, Isa isa, int threads, Mode mode) {
  set_thread_count(threads);
  Problem problem{c.pass, c.src, c.dst, {}, isa};
  problem.threads = threads;
  for (const Shape& shape : c.parameters) problem.parameters.push_back({Type::f32, shape});
  const Candidates candidates = c.kernels(problem);
  const Kernel& kernel = named(candidates, name);
  EXPECT_EQ(kernel.declined, "");
  std::vector<Map> src;
  Result result;
  Arguments a;
  for (size_t i = 0; i < c.src.size(); ++i) src.emplace_back(c.src[i], i + 1, c.ids);
  for (size_t i = 0; i < c.dst.size(); ++i) result.dst.emplace_back(c.dst[i], i + 11, c.ids);
  for (const Shape& shape : c.parameters) {
    result.parameters.emplace_back();
    for (int64_t i = 0; i < shape.c; ++i) result.parameters.back().push_back(0.5f + 0.1f * static_cast<float>(i % 7));
  }
  for (Map& map : src) a.src.push_back({map.view, {}, {}});
  for (Map& map : result.dst) a.dst.push_back({map.view, mode});
  for (size_t i = 0; i < c.parameters.size(); ++i)
    a.parameters.push_back(dense_view(result.parameters[i].data(), Type::f32, c.parameters[i]));
  a.epilogue.act = c.act;
  a.epilogue.gate_act = c.gate_act;
  std::vector<std::max_align_t> scratch(static_cast<size_t>(kernel.scratch_bytes + 64) / sizeof(std::max_align_t) + 4);
  const auto address = reinterpret_cast<uintptr_t>(scratch.data());
  a.scratch = reinterpret_cast<std::byte*>((address + 63) / 64 * 64);
  const StepKey key{1, 2, 3, 4};
  a.key = &key;
  kernel.run(a);
  return result;
}

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (int i = 0; i <= static_cast<int>(best_isa()); ++i) all.push_back(static_cast<Isa>(i));
  return all;
}

class VectorKernels : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { set_thread_count(thread_count_before_); }
  int thread_count_before_ = thread_count();
};

TEST_P(VectorKernels, AgreeOnMapsWithGapsWhateverTheThreads) {
  const Case& c = GetParam();
  for (const Mode mode : {Mode::write, Mode::add}) {
    if (mode == Mode::add && !c.adds) continue;
    const Result wanted = run(c, "definition", Isa::baseline, 1, mode);
    for (const Isa isa : isas()) {
      SCOPED_TRACE(std::string(to_string(isa)) + (mode == Mode::add ? ", added" : ""));
      const Result given = run(c, "vector", isa, 1, mode);
      for (size_t i = 0; i < given.dst.size(); ++i) {
        double largest = 0, difference = 0;
        wanted.dst[i].each([&](int64_t n, int64_t y, int64_t x, int64_t channel) {
          const double w = wanted.dst[i].at(n, y, x, channel), g = given.dst[i].at(n, y, x, channel);
          largest = std::max(largest, std::abs(w));
          difference = std::isfinite(g) ? std::max(difference, std::abs(g - w)) : INFINITY;
        });
        EXPECT_LE(difference, 2e-6 * largest) << "dst " << i;
        EXPECT_GT(largest, 0) << "dst " << i;
        EXPECT_EQ(given.dst[i].gaps(), std::vector<uint8_t>(given.dst[i].memory.size(), 0x55)) << "dst " << i;
      }
      for (const int threads : {2, 3}) {
        const Result again = run(c, "vector", isa, threads, mode);
        for (size_t i = 0; i < given.dst.size(); ++i)
          EXPECT_EQ(again.dst[i].memory, given.dst[i].memory) << "dst " << i << " with " << threads << " threads";
        EXPECT_EQ(again.parameters, given.parameters) << threads << " threads";
      }
    }
  }
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, VectorKernels, testing::ValuesIn(cases()), test_name);

// A class id that is out of range is named by the vector kernels, too.
TEST(VectorClassify, NamesTheClassIdThatIsOutOfRange) {
  for (const char* name :
       {"one_hot", "loss, ids", "loss, ids backward", "resized loss, ids", "resized loss, ids backward"}) {
    for (Case c : cases()) {
      if (c.name != name) continue;
      c.ids = 22;
      try {
        run(c, "vector", best_isa(), 2, Mode::write);
        FAIL() << name;
      } catch (const DataError& error) {
        EXPECT_NE(std::string(error.what()).find("class id 21 at pixel"), std::string::npos) << error.what();
      }
    }
  }
}

// The largest of a window with NaN is NaN, as in PyTorch.
TEST(VectorPooling, NaNWins) {
  for (const Isa isa : isas()) {
    float x[4] = {1, NAN, 3, 2}, y = 0;
    uint8_t index = 0;
    const Problem problem{Pass::forward, {map(1, 2, 2, 1)}, {map(1, 1, 1, 1), bytes(1, 1, 1)}, {}, isa};
    Arguments a;
    a.src = {{dense_view(x, Type::f32, {1, 2, 2, 1}), {}, {}}};
    a.dst = {{dense_view(&y, Type::f32, {1, 1, 1, 1})}, {dense_view(&index, Type::u8, {1, 1, 1, 1})}};
    named(max_pool2d_kernels({}, problem), "vector").run(a);
    EXPECT_TRUE(std::isnan(y)) << to_string(isa);
    EXPECT_EQ(index, 1) << to_string(isa);
  }
}

// One value far from the others, at either end of the map: no sum of squares may drown the variance.
TEST(Vector, BatchNormWithAnOutlier) {
  const Shape shape{1, 128, 128, 3}, vector{1, 1, 1, 3};
  const auto pixels = static_cast<double>(shape.pixels());
  for (const int64_t outlier : {int64_t{0}, shape.pixels() / 2, shape.pixels() - 1}) {
    std::vector<float> x(static_cast<size_t>(shape.count())), y(x.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(Random(9).normal(i));
    for (int64_t c = 0; c < 3; ++c) x[static_cast<size_t>(3 * outlier + c)] = 1e4F;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
      if (isa > best_isa()) continue;
      Problem problem;
      problem.isa = isa;
      problem.src = {{Type::f32, shape}}, problem.dst.assign(5, {Type::f32, vector}), problem.dst[0].shape = shape;
      problem.parameters.assign(4, {Type::f32, vector});
      const Kernel kernel = batch_norm_kernels(BatchNormSpec{}, problem).front();
      ASSERT_STREQ(kernel.name, "vector");
      float weight[]{1, 1, 1}, bias[3]{}, running_mean[3]{}, running_var[3]{}, mean[3]{}, inverse[3]{}, scale[3]{},
          shift[3]{};
      std::vector<double> scratch(static_cast<size_t>(kernel.scratch_bytes / 8 + 8));
      Arguments a;
      a.src = {{dense_view(x.data(), Type::f32, shape), {}, {}, Activation::none}};
      a.dst = {{dense_view(y.data(), Type::f32, shape)}};
      for (float* values : {mean, inverse, scale, shift}) a.dst.push_back({dense_view(values, Type::f32, vector)});
      for (float* values : {weight, bias, running_mean, running_var})
        a.parameters.push_back(dense_view(values, Type::f32, vector));
      a.scratch = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
      kernel.run(a);
      for (size_t c = 0; c < 3; ++c) {
        double sum = 0, squares = 0;
        for (size_t i = c; i < x.size(); i += 3) sum += x[i];
        for (size_t i = c; i < x.size(); i += 3) squares += (x[i] - sum / pixels) * (x[i] - sum / pixels);
        EXPECT_NEAR(mean[c], sum / pixels, 1e-5) << to_string(isa) << ", outlier at " << outlier;
        EXPECT_NEAR(inverse[c] * std::sqrt(squares / pixels + 1e-5), 1, 1e-5) << to_string(isa) << ", " << outlier;
      }
    }
  }
}

}  // namespace
}  // namespace pixelwise
