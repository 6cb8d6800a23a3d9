// Every operator, on every case of its table, through the whole path of graph, differentiation, plan and executor.
#include "pixelwise/nn/operator.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "nn/operator_fields.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/nn/operator_cases.hpp"

namespace pixelwise {
namespace {

using Numbers = std::vector<double>;

Numbers read(const View& view) {
  Numbers numbers(static_cast<size_t>(view.shape.count()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (view.type == Type::f64) numbers[i] = view.as<double>()[i];
    if (view.type == Type::f32) numbers[i] = view.as<float>()[i];
    if (view.type == Type::bf16) numbers[i] = to_float(view.as<bf16>()[i]);
    if (view.type == Type::u8) numbers[i] = view.as<uint8_t>()[i];
  }
  return numbers;
}

void write(const View& view, const Numbers& numbers) {  // doubles only
  std::copy(numbers.begin(), numbers.end(), view.as<double>());
}

double dot(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// A case with its operands filled.
struct Running {
  const OperatorCase& one;
  OperatorGraph graph;
  Parameters parameters;
  std::unique_ptr<Executor> executor;

  Running(const OperatorCase& c, const OperatorGraphOptions& options) : one(c), graph(operator_graph(c, options)) {
    parameters.ensure(graph.graph, 1);
    executor = std::make_unique<Executor>(graph.graph, parameters, std::make_shared<Arena>());
    executor->set_poison(true);
    fill();
  }
  void fill() { fill_operands(one, graph, *executor, parameters, 1); }
  void run() { executor->run({1, 2, 3, 4}); }
  Numbers value(ValueId id) const { return read(executor->view(id)); }
  ValueId gradient(ValueId id) const { return graph.graph.at(id).gradient; }

  /// src and parameters that have a gradient.
  std::vector<ValueId> variables() const {
    std::vector<ValueId> result;
    for (ValueId id = 0; id < static_cast<ValueId>(graph.graph.values.size()); ++id) {
      const Value& value = graph.graph.at(id);
      const bool operand =
          value.storage == Storage::parameter || std::find(graph.src.begin(), graph.src.end(), id) != graph.src.end();
      if (operand && value.gradient != no_value) result.push_back(id);
    }
    return result;
  }
  /// <diff_dst, dst> after a forward pass.
  double objective(const std::vector<Numbers>& diff_dst) {
    executor->run(Range{0, graph.graph.forward_nodes}, {1, 2, 3, 4});
    double sum = 0;
    for (size_t i = 0; i < graph.out.size(); ++i) sum += dot(diff_dst[i], value(graph.out[i]));
    return sum;
  }
  /// What fill_operands gives as gradients of dst (the executor sets single numbers to 1).
  std::vector<Numbers> diff_dst() const {
    std::vector<Numbers> result;
    for (const ValueId id : graph.out) {
      result.push_back(value(gradient(id)));
      if (result.back().size() == 1) result.back() = {1};
    }
    return result;
  }
};

void expect_near(const Numbers& given, const Numbers& wanted, double factor, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(given.size(), wanted.size()) << what;
  double largest = 0;
  for (const double value : wanted) largest = std::max(largest, std::abs(factor * value));
  for (size_t i = 0; i < given.size(); ++i)
    ASSERT_NEAR(given[i], factor * wanted[i], tolerance * largest) << what << ", element " << i;
}

class Operator : public testing::TestWithParam<std::string> {
 protected:
  // check(case) for all cases that are small enough for the definitions
  template <class Fn>
  void for_each_case(const Fn& check) {
    for (const OperatorCase& one : operator_cases(GetParam())) {
      SCOPED_TRACE(GetParam() + ": " + one.name);
      if (!one.bench) check(one);
      if (HasFatalFailure()) return;
    }
  }
};

// The selected kernels in f32, in all passes, against the definitions in f64. 5e-5 of the largest is what precision
// fp32 allows.
TEST_P(Operator, FastKernelsAgreeWithDefinitions) {
  for_each_case([](const OperatorCase& one) {
    Running wanted(one, {true, true}), given(one, {true, false});
    wanted.run(), given.run();
    for (size_t i = 0; i < wanted.graph.dst.size(); ++i)
      expect_near(given.value(given.graph.dst[i]), wanted.value(wanted.graph.dst[i]), 1, 5e-5, "dst");
    for (const ValueId id : wanted.variables())
      expect_near(given.value(given.gradient(id)), wanted.value(wanted.gradient(id)), 1, 5e-5,
                  wanted.graph.graph.at(wanted.gradient(id)).name);
    for (const Parameter* state : wanted.parameters.all())
      expect_near(read(given.parameters.at(state->name).view()), read(state->view()), 1, 5e-5, state->name);
  });
}

// Two readers of one map: the gradients of the second are added to those of the first.
TEST_P(Operator, GradientsOfTwoReadersAddUp) {
  for_each_case([](const OperatorCase& one) {
    const auto* dropout = std::get_if<DropoutSpec>(&one.spec);
    if (dropout && dropout->phase == Phase::training) return;  // masks of their own
    Running wanted(one, {true, true}), given(one, {true, false, true});
    wanted.run(), given.run();
    for (const ValueId id : wanted.variables()) {
      const std::string name = wanted.graph.graph.at(wanted.gradient(id)).name;
      expect_near(read(given.executor->view(name)), wanted.value(wanted.gradient(id)), 2, 5e-5, name);
    }
  });
}

// d <diff_dst, dst> / d direction, by central differences, against <gradient, direction>: along random directions, and
// along single elements.
TEST_P(Operator, GradientsAgreeWithFiniteDifferences) {
  for_each_case([](const OperatorCase& one) {
    Running run(one, {true, true});
    const std::vector<Numbers> diff_dst = run.diff_dst();
    run.run();
    for (const ValueId id : run.variables()) {
      const Numbers gradient = run.value(run.gradient(id));
      run.fill();
      const Numbers start = run.value(id);
      const double size = std::sqrt(dot(gradient, gradient)) + 1e-3;
      for (uint64_t trial = 0; trial < 6; ++trial) {
        Numbers direction(start.size(), 0), moved = start;
        const Random random(trial, "direction");
        if (trial < 3) {
          for (size_t i = 0; i < direction.size(); ++i) direction[i] = random.normal(i);
        } else {
          direction[random.below(0, direction.size())] = 1;
        }
        const double length = std::sqrt(dot(direction, direction)), step = 1e-6;
        double values[2];
        for (const int side : {0, 1}) {
          for (size_t i = 0; i < start.size(); ++i) moved[i] = start[i] + (side ? step : -step) * direction[i] / length;
          write(run.executor->view(id), moved);
          values[side] = run.objective(diff_dst);
        }
        write(run.executor->view(id), start);
        ASSERT_NEAR((values[1] - values[0]) / (2 * step), dot(gradient, direction) / length, 1e-6 * size)
            << "d " << run.graph.graph.at(id).name << ", direction " << trial;
      }
    }
  });
}

// Is dst linear in src (up to a constant)?
bool is_linear(const OperatorCase& one) {
  static const std::set<std::string> linear{
      "conv2d", "conv_transpose2d", "max_unpool2d", "avg_pool2d", "dropout", "global_avg_pool",
      "add",    "concat",           "crop",         "pad",        "resize",  "weighted_sum"};
  return one.act == Activation::none && linear.count(operator_of(one.spec).name) > 0;
}

// <A x, y> = <x, A' y>, for src together and for the parameters together.
TEST_P(Operator, GradientsAreAdjoint) {
  for_each_case([](const OperatorCase& one) {
    if (!is_linear(one)) return;
    Running run(one, {true, true});
    const std::vector<Numbers> diff_dst = run.diff_dst();
    run.run();
    std::map<ValueId, Numbers> gradients;
    for (const ValueId id : run.variables()) gradients[id] = run.value(run.gradient(id));
    for (const Storage storage : {Storage::arena, Storage::parameter}) {
      run.fill();
      const double all = run.objective(diff_dst);
      double wanted = 0, size = 1e-3;
      for (const auto& [id, gradient] : gradients) {
        if (run.graph.graph.at(id).storage != storage) continue;
        const Numbers x = run.value(id);
        wanted += dot(gradient, x);
        size += std::sqrt(dot(gradient, gradient) * dot(x, x));
        write(run.executor->view(id), Numbers(x.size(), 0));
      }
      if (size > 1e-3) {
        EXPECT_NEAR(all - run.objective(diff_dst), wanted, 1e-12 * size);
      }
    }
  });
}

// A field of a specification that has the same value in all cases is not tested; nor is one whose values meet in the
// forward pass alone.
TEST_P(Operator, CasesVaryEveryFieldInEveryPass) {
  std::map<Pass, std::map<std::string, std::set<std::string>>> seen;
  std::set<int64_t> channels;
  bool fused = false;
  for (const OperatorCase& one : operator_cases(GetParam())) {
    if (one.bench) continue;
    for (const Node& node : operator_graph(one, {}).graph.nodes) {
      if (node.spec.index() != one.spec.index()) continue;  // a gate before the gradient, for example
      auto& fields = seen[node.pass];
      for (const auto& [field, text] : fields_of(node.spec)) fields[field].insert(text);
    }
    channels.insert(one.src[0].shape.c);
    fused = fused || one.act != Activation::none;
  }
  const bool product = GetParam() == "conv2d" || GetParam() == "conv_transpose2d";
  const bool differentiable = operator_of(operator_cases(GetParam())[0].spec).gradient != nullptr;
  EXPECT_EQ(seen.size(), product ? 3u : differentiable ? 2u : 1u) << "passes";
  for (const auto& [pass, fields] : seen) {
    for (const auto& [field, texts] : fields)
      EXPECT_GT(texts.size(), 1u) << "pass " << static_cast<int>(pass) << ": " << field << " is always "
                                  << *texts.begin();
  }
  EXPECT_EQ(fused, operator_of(operator_cases(GetParam())[0].spec).fuses_activation);
  if (GetParam() != "one_hot" && GetParam() != "weighted_sum") {
    EXPECT_GT(channels.size(), 1u);
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(All, Operator, testing::ValuesIn(operator_names()), test_name);

TEST(OperatorCases, NameTheOperatorsThatThereAre) {
  EXPECT_EQ(operator_names().size(), std::variant_size_v<OpSpec>);
  try {
    operator_cases("conv3d");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("conv2d, conv_transpose2d"), std::string::npos) << error.what();
  }
}

TEST(OperatorCases, MeetEveryKernel) {
  const std::vector<std::string> names = kernel_names();
  for (const char* name : {"definition", "vector", "im2col", "implicit_gemm", "depthwise", "winograd4"})
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
}

TEST(OperatorCases, AreTimedInAllPasses) {
  const std::vector<OperatorTime> times = time_operator(operator_cases("conv2d")[0], 3);
  ASSERT_EQ(times.size(), 3u);
  for (const OperatorTime& time : times) {
    EXPECT_GT(time.gflop, 0) << time.node;
    EXPECT_FALSE(time.kernel.empty());
  }
}

}  // namespace
}  // namespace pixelwise
