// One table of cases per operator: the tests check each of them (fast kernels against definitions, gradients,
// adjoints), and segbench times those that are marked for it.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/nn/executor.hpp"

namespace pixelwise {

struct OperatorCase {
  std::string name;
  OpSpec spec;
  std::vector<TensorDesc> src;
  Activation act = Activation::none;  ///< fused into the node
  bool bench = false;                 ///< of a size that is worth timing (and too large for the tests)
};

/// The names of all operators, in the order of OpSpec.
std::vector<std::string> operator_names();
/// The cases of an operator; throws UsageError with all names where there is no such operator.
const std::vector<OperatorCase>& operator_cases(const std::string& op);

/// The names of all kernels that serve a case of any operator, sorted: what PIXELWISE_KERNELS takes.
std::vector<std::string> kernel_names();

struct OperatorGraphOptions {
  bool gradients = true;  ///< with backward nodes, as far as the operator has gradients
  bool f64 = false;       ///< doubles in place of floats: runs on the definitions
  bool twice = false;     ///< two nodes read the same src, so that the second one's gradients are added
};

/// A case as a graph that can be run: node "op" (and "op_again") over external src, with external dst.
struct OperatorGraph {
  Graph graph;
  std::vector<ValueId> src;  ///< of the case
  std::vector<ValueId> dst;  ///< all results of all nodes
  std::vector<ValueId> out;  ///< the results that have gradients: dst[0] of each node
};
OperatorGraph operator_graph(const OperatorCase& one, const OperatorGraphOptions& options);

/// Fills src, parameters and the gradients of dst with numbers that the operator accepts (ids below the number of
/// classes, indices inside the map, positive variances); the rest are normal numbers that a float holds.
void fill_operands(const OperatorCase& one, const OperatorGraph& graph, Executor& executor, Parameters& parameters,
                   uint64_t seed);

/// The median time of every pass of a case.
struct OperatorTime {
  std::string node, kernel;
  double ms = 0, gflop = 0;
};
std::vector<OperatorTime> time_operator(const OperatorCase& one, int runs, Precision precision = Precision::fp32);

}  // namespace pixelwise
