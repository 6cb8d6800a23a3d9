#include <cstdio>

#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/kernels/peak.hpp"
#include "pixelwise/nn/operator_cases.hpp"

namespace pixelwise {

int bench_operator_command(const BenchOperatorArguments& arguments) {
  if (arguments.threads > 0) set_thread_count(static_cast<int>(arguments.threads));
  if (arguments.runs < 1) throw UsageError(format("--runs {}: wanted 1 or more", arguments.runs));
  const std::vector<OperatorCase>& cases = operator_cases(arguments.op);
  const double peak = peak_gflops();
  const bool table = !arguments.json && !arguments.csv;
  if (table)
    std::fputs(format("{}: measured peak {:.1f} GFLOP/s with {} threads\n{:<28} {:<22} {:<16} {:>10} {:>9} {:>6}\n",
                      arguments.op, peak, thread_count(), "case", "pass", "kernel", "ms", "GFLOP/s", "peak")
                   .c_str(),
               stdout);
  JsonValue::Array rows;
  for (const OperatorCase& one : cases) {
    if (!one.bench) continue;
    for (const OperatorTime& time : time_operator(one, static_cast<int>(arguments.runs))) {
      const double rate = time.ms > 0 ? time.gflop / time.ms * 1e3 : 0;
      const std::string pass = time.node == "op" ? "forward" : time.node.substr(3);  // "op.backward_data"
      const JsonValue::Object row{{"operator", arguments.op}, {"case", one.name},   {"pass", pass},
                                  {"kernel", time.kernel},    {"ms", time.ms},      {"gflop", time.gflop},
                                  {"gflops", rate},           {"peak_gflops", peak}};
      if (arguments.csv) rows.emplace_back(row);
      if (arguments.json) std::fputs((dump_json(row) + "\n").c_str(), stdout);
      if (table)
        std::fputs(format("{:<28} {:<22} {:<16} {:>10.3f} {:>9.1f} {:>5.0f}%\n", one.name, pass, time.kernel, time.ms,
                          rate, 100 * rate / peak)
                       .c_str(),
                   stdout);
    }
    std::fflush(stdout);
  }
  if (arguments.csv) std::fputs(dump_csv(rows).c_str(), stdout);
  return 0;
}

int bench_kernels_command() {
  for (const std::string& name : kernel_names()) std::fputs((name + "\n").c_str(), stdout);
  return 0;
}

}  // namespace pixelwise
