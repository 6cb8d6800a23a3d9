// Runs a planned graph. Nothing is allocated in a step.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "pixelwise/nn/graph.hpp"
#include "pixelwise/nn/parameters.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {

/// One block of memory that training and validation plans share: it grows to the largest.
class Arena {
 public:
  /// At least `bytes`; throws ResourceError, before allocating, where the machine has not got them.
  std::byte* reserve(int64_t bytes);
  int64_t bytes() const { return memory_.bytes(); }
  uint64_t generation() const { return generation_; }  ///< goes up when the block moves
  /// Says who is about to fill the block; true where that is somebody else than the last time.
  bool change_user(const void* user);

 private:
  Memory memory_;
  uint64_t generation_ = 0;
  const void* user_ = nullptr;
};

struct NodeTime {
  std::string node, kernel;
  double ms = 0;
};

class Executor {
 public:
  /// The graph's parameters must be in `parameters` (Parameters::ensure); both it and the arena must outlive this.
  Executor(Graph graph, Parameters& parameters, std::shared_ptr<Arena> arena, Precision precision = Precision::fp32);
  ~Executor();
  Executor(Executor&&) noexcept;

  const Graph& graph() const;
  const Plan& plan() const;
  /// The memory of an external value (image, labels, loss, prediction), a gradient or a parameter.
  View view(ValueId id) const;
  View view(const std::string& name) const;  ///< throws UsageError where there is none

  /// Runs all nodes. first_micro_batch: gradients of parameters are written, else added to.
  void run(const StepKey& key = {}, bool first_micro_batch = true);
  void run(Range nodes, const StepKey& key = {}, bool first_micro_batch = true);

  /// Poison mode (tests): before and after each node, arena bytes that no live value owns are filled with NaN.
  void set_poison(bool on);
  /// Times every node of a run (for segbench --profile).
  std::vector<NodeTime> profile(const StepKey& key = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pixelwise
