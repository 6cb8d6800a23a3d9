// segbench --ladder: the same convolution, rung by rung.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/ladder.hpp"
#include "pixelwise/kernels/peak.hpp"

namespace pixelwise {
namespace {

double median_ms(const Rung& rung, LadderProblem& problem, int64_t runs) {
  std::vector<double> ms;
  for (int64_t i = -1; i < runs; ++i) {  // the first one warms up
    const auto start = std::chrono::steady_clock::now();
    rung.run(problem);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (i >= 0) ms.push_back(took.count());
  }
  std::nth_element(ms.begin(), ms.begin() + runs / 2, ms.end());
  return ms[static_cast<size_t>(runs / 2)];
}

std::vector<float> random_floats(int64_t count, const char* stream) {
  Random random(1, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.next_uniform(-1, 1));
  return values;
}

// The largest difference, in parts of the largest value.
double difference(const std::vector<float>& values, const std::vector<float>& wanted) {
  float most = 0, largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    most = std::max(most, std::abs(values[i] - wanted[i]));
    largest = std::max(largest, std::abs(wanted[i]));
  }
  return static_cast<double>(most) / static_cast<double>(largest);
}

}  // namespace

int bench_ladder_command(const BenchLadderArguments& arguments) {
  const int threads = arguments.threads > 0 ? static_cast<int>(arguments.threads) : thread_count();
  if (arguments.runs < 1) throw UsageError(format("--runs {}: wanted 1 or more", arguments.runs));
  const Shape shape{1, 64, 64, 128};
  const int64_t out = 128;
  const std::vector<float> x = random_floats(shape.count(), "x"), weights = random_floats(out * 9 * shape.c, "weights");
  std::vector<float> y(static_cast<size_t>(shape.pixels() * out)), first;
  LadderProblem problem{shape, out, x.data(), weights.data(), y.data()};

  set_thread_count(1);
  const double one = peak_gflops();
  set_thread_count(threads);
  const double all = peak_gflops();
  std::fputs(
      format("3x3, {} -> {} channels, {}x{} pixels: {:.2f} GFLOP. {}, measured peak {:.1f} GFLOP/s with 1 thread, "
             "{:.1f} with {}\n{:<11} {:<46} {:>7} {:>9} {:>8} {:>5} {:>6} {:>10}\n",
             shape.c, out, shape.h, shape.w, problem.flops() * 1e-9, to_string(isa()), one, all, threads, "rung",
             "idea", "threads", "ms", "GFLOP/s", "peak", "faster", "difference")
          .c_str(),
      stdout);
  double loops_ms = 0;
  for (const Rung& rung : ladder(isa())) {
    set_thread_count(rung.threaded ? threads : 1);
    std::string timing;
    if (rung.emulated) {
      rung.run(problem);
      timing = format("{:>7} not timed: emulated on {}", "-", to_string(isa()));
    } else {
      const double ms = median_ms(rung, problem, arguments.runs), rate = problem.flops() * 1e-6 / ms;
      if (first.empty()) first = y, loops_ms = ms;
      timing = format("{:>7} {:>9.2f} {:>8.1f} {:>4.0f}% {:>5.0f}x", rung.threaded ? threads : 1, ms, rate,
                      100 * rate / (rung.threaded ? all : one), loops_ms / ms);
    }
    std::fputs(format("{:<11} {:<46} {:<39} {:>10.1e}\n", rung.name, rung.idea, timing, difference(y, first)).c_str(),
               stdout);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace pixelwise
