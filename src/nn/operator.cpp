#include "pixelwise/nn/operator.hpp"

#include "nn/ops/operators.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

// In the order of OpSpec's alternatives.
const Operator* const table[] = {&conv2d_operator,
                                 &conv_transpose2d_operator,
                                 &max_pool2d_operator,
                                 &max_unpool2d_operator,
                                 &avg_pool2d_operator,
                                 &global_avg_pool_operator,
                                 &batch_norm_operator,
                                 &activation_operator,
                                 &dropout_operator,
                                 &add_operator,
                                 &concat_operator,
                                 &crop_operator,
                                 &pad_operator,
                                 &cast_operator,
                                 &resize_operator,
                                 &softmax_operator,
                                 &argmax_operator,
                                 &one_hot_operator,
                                 &softmax_cross_entropy_operator,
                                 &weighted_sum_operator};
static_assert(std::size(table) == std::variant_size_v<OpSpec>);

}  // namespace

const Operator& operator_of(const OpSpec& spec) { return *table[spec.index()]; }

Cost cost_of(const Graph& graph, const Node& node) {
  Cost cost;
  cost.flops = operator_of(node.spec).flops(graph, node);
  const auto touch = [&](ValueId id) { cost.bytes += graph.at(id).shape.count() * size_of(graph.at(id).type); };
  for_each_read(node, touch);
  for (const Output& output : node.dst) touch(output.value);
  return cost;
}

Problem problem_of(const Graph& graph, const Node& node, Precision precision) {
  const auto desc = [&](ValueId id) { return TensorDesc{graph.at(id).type, graph.at(id).shape}; };
  Problem problem;
  problem.pass = node.pass;
  for (const Input& input : node.src) problem.src.push_back(desc(input.value));
  for (const Output& output : node.dst) problem.dst.push_back(desc(output.value));
  problem.moments = node.moments;
  if (node.moments) problem.dst.pop_back();
  for (const ValueId parameter : node.parameters) problem.parameters.push_back(desc(parameter));
  if (node.max_pool) problem.dst.insert(problem.dst.begin(), operator_of(node.spec).infer(graph, node)[0]);
  problem.isa = isa();
  problem.precision = precision;
  problem.fixed_parameters = !graph.trains();
  problem.threads = thread_count();
  return problem;
}

}  // namespace pixelwise
