// The commands behind the tools: their arguments as structs, so that a main only has to fill them in.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pixelwise {

/// Runs a command and returns the program's exit code; errors become "TOOL: error: ..." on stderr.
int run_command(const std::string& tool, const std::function<int()>& command);

struct TrainArguments {
  std::string config, data_root, run, weights;
  std::vector<std::string> settings;  ///< key=value
  bool resume = false, print_config = false, print_schema = false, dry_run = false;
};
/// Returns 0, or 128 + signal where one stopped the training after saving.
int train_command(const TrainArguments& arguments);

/// Measures weights, or the predictions that any tool wrote as PNGs.
struct EvalArguments {
  std::string run, weights, from_pngs;  ///< one of them; from_pngs: a folder, and `config` says on which data
  std::string config, data_root, split = "val", json, csv;
  std::string convention = "pixelwise";  ///< of the table and of `csv` (train/conventions.hpp)
  std::vector<std::string> settings;
};
int eval_command(const EvalArguments& arguments);

struct PredictArguments {
  std::vector<std::string> inputs;  ///< images, folders, lists (text files with one path a line)
  std::string weights, run, out;
  bool planes = false, probabilities = false;
  int64_t samples = 0;  ///< 0: one pass without dropout; else the mean of this many passes with it
  uint64_t seed = 0;    ///< of the samples
};
int predict_command(const PredictArguments& arguments);

/// A photo whose background is blurred: guided filter on the network's mask, discs that grow with the distance.
struct PortraitArguments {
  std::string photo, out, weights, run;
  std::vector<std::string> classes{"person"};  ///< of the subject
  double blur = 2.5;                           ///< radius of the largest disc, percent of the longer side
  std::string mask;                            ///< file for the refined mask, or empty
};
int portrait_command(const PortraitArguments& arguments);

/// Which model a tool looks at, and how.
struct ModelArguments {
  std::string model, config;  ///< one of them
  std::vector<std::string> settings;
  std::string size;   ///< "HxW"; empty: the config's
  int64_t batch = 0;  ///< 0: the config's
  std::string mode = "train";
};

struct DescribeArguments : ModelArguments {
  bool list = false, json = false, csv = false;
  std::string svg;  ///< file for a drawing instead of the table
};
int describe_command(const DescribeArguments& arguments);

struct DoctorArguments {
  std::string config, data_root;
  std::vector<std::string> settings;
  std::string out;  ///< a folder for report.html and samples.png; empty: none
};
/// Reads the whole data set, and reports on standard output what a training would meet. ExitCode::data where samples
/// would stop it.
int doctor_command(const DoctorArguments& arguments);

struct BenchArguments : ModelArguments {
  int64_t threads = 0, runs = 5;
  bool json = false, csv = false, profile = false, explain = false;
  bool paced = false;      ///< a run for each line of standard input; prints its ms
  std::string write_step;  ///< a file for the weights, inputs, loss and gradients of one step; nothing is timed
};
int bench_command(const BenchArguments& arguments);
/// Times a training step of the model with each kernel forced in turn, and writes to the file (conv2d_table.cpp) which
/// convolutions another kernel serves faster than the one of the rules (kernels/conv2d_table.hpp).
int tune_command(const BenchArguments& arguments, const std::string& table_file);

/// The cases of one operator that are worth timing (nn/operator_cases.hpp), in all passes.
struct BenchOperatorArguments {
  std::string op;
  int64_t threads = 0, runs = 5;
  bool json = false, csv = false;
};
int bench_operator_command(const BenchOperatorArguments& arguments);

/// Prints the names of all kernels (nn/operator_cases.hpp), one a line.
int bench_kernels_command();

/// One convolution written in ever faster ways (kernels/ladder.hpp).
struct BenchLadderArguments {
  int64_t threads = 0, runs = 5;
};
int bench_ladder_command(const BenchLadderArguments& arguments);

}  // namespace pixelwise
