#include "pixelwise/nn/fuse.hpp"

#include <algorithm>

#include "nn/uses.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {
namespace {

// The node whose result `id` is, where nobody else reads it and nothing has been fused behind it yet; or null.
Node* open_producer(Graph& graph, ValueId id) {
  const int i = writer(graph, id);
  if (i < 0 || graph.at(id).external || readers(graph, id) != 1) return nullptr;
  Node& node = graph.nodes[static_cast<size_t>(i)];
  return node.act == Activation::none ? &node : nullptr;
}

// `producer` computes what `node` computed after it.
void absorb(Node& producer, const Node& node) {
  producer.act = node.act;
  producer.dst[0] = node.dst[0];
}

bool fuse_activation(Graph& graph, const Node& node) {
  const auto* activation = std::get_if<ActivationSpec>(&node.spec);
  Node* producer = activation ? open_producer(graph, node.src[0].value) : nullptr;
  if (!producer || !operator_of(producer->spec).fuses_activation) return false;
  absorb(*producer, node);
  producer->act = activation->function;
  return true;
}

bool fold_batch_norm(Graph& graph, const Node& node) {
  const auto* norm = std::get_if<BatchNormSpec>(&node.spec);
  if (!norm || norm->phase == Phase::training) return false;
  Node* producer = open_producer(graph, node.src[0].value);
  if (!producer || !operator_of(producer->spec).has_epilogue || producer->batch_norm || producer->residual != no_value)
    return false;
  const std::vector<ValueId>& p = node.parameters;
  producer->batch_norm = {p[0], p[1], p[2], p[3], norm->eps};
  absorb(*producer, node);
  return true;
}

// x + the result of a node, where x is there before that node runs: it becomes Node::residual of a node that `takes`
// one.
bool absorb_sum(Graph& graph, const Node& node, bool (*takes)(const Node& producer)) {
  if (!std::holds_alternative<AddSpec>(node.spec) || node.src.size() != 2) return false;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const ValueId result = node.src[i].value, other = node.src[1 - i].value;
    Node* producer = open_producer(graph, result);
    if (!producer || !takes(*producer) || producer->residual != no_value ||
        writer(graph, other) > writer(graph, result))
      continue;
    producer->residual = other;
    absorb(*producer, node);
    return true;
  }
  return false;
}

bool fold_sum(Graph& graph, const Node& node) {
  return absorb_sum(graph, node, [](const Node& producer) { return operator_of(producer.spec).has_epilogue; });
}

// A batch norm of the batch normalises, adds and activates in one pass.
bool fuse_sum(Graph& graph, const Node& node) {
  return absorb_sum(graph, node, [](const Node& producer) {
    const auto* norm = std::get_if<BatchNormSpec>(&producer.spec);
    return norm && norm->phase == Phase::training;
  });
}

// Does the kernel that serves a node best do more for it, too?
bool same_kernel(const Graph& graph, const Node& more, const Node& node, Precision precision) {
  const auto best = [&](const Node& of) {
    return std::string(select(operator_of(of.spec).kernels(of.spec, problem_of(graph, of, precision))).name);
  };
  return best(more) == best(node);
}

bool fold_max_pool(Graph& graph, const Node& node, Precision precision) {
  const auto* pool = std::get_if<MaxPool2dSpec>(&node.spec);
  if (!pool || pool->kernel != Size{2, 2} || pool->stride != Size{2, 2} || pool->pad != Size{0, 0}) return false;
  const ValueId map = node.src[0].value, indices = node.dst[1].value;
  const int i = writer(graph, map);
  if (i < 0 || graph.at(map).external || readers(graph, map) != 1) return false;
  if (graph.at(indices).external || readers(graph, indices) > 0) return false;
  Node& conv = graph.nodes[static_cast<size_t>(i)];
  if (!std::holds_alternative<Conv2dSpec>(conv.spec) || conv.max_pool || conv.residual != no_value) return false;
  Node pooled = conv;
  pooled.max_pool = true;
  pooled.dst[0] = node.dst[0];
  if (!same_kernel(graph, pooled, conv, precision)) return false;
  conv = std::move(pooled);
  return true;
}

// Erases the nodes that `move` has moved into another.
template <class Move>
void move_nodes(Graph& graph, const Move& move) {
  for (size_t i = 0; i < graph.nodes.size();) {
    if (move(graph, graph.nodes[i]))
      graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
    else
      ++i;
  }
  graph.forward_nodes = static_cast<int>(graph.nodes.size());
}

// Does the node read `id` as the map that it convolves, and nowhere else, and can it normalise that on the way?
bool can_normalise(const Node& node, ValueId id) {
  int reads = 0;
  for_each_read(node, [&](ValueId read) { reads += read == id; });
  if (reads == 0) return true;
  const auto* conv = std::get_if<Conv2dSpec>(&node.spec);
  const auto* transposed = std::get_if<ConvTranspose2dSpec>(&node.spec);
  // A depthwise kernel would do it again for every tap.
  const bool whole = (conv && conv->groups == 1) || (transposed && transposed->groups == 1);
  return whole && reads == 1 && node.src[0].value == id && node.pass != Pass::backward_data;
}

void defer(Graph& graph, const Node& norm) {
  const ValueId y = norm.dst[0].value;
  const Input read{norm.src[0].value, norm.dst[3].value, norm.dst[4].value, norm.act};
  for (Node& node : graph.nodes) {
    if (!node.src.empty() && node.src[0].value == y) node.src[0] = read;
  }
  graph.at(y).deferred = true;
}

}  // namespace

void fuse(Graph& graph) {
  move_nodes(graph, fuse_activation);
  move_nodes(graph, fuse_sum);
}

void fold(Graph& graph) {
  move_nodes(graph, fold_batch_norm);
  move_nodes(graph, fold_sum);
}

void fold_max_pools(Graph& graph, Precision precision) {
  move_nodes(graph, [precision](Graph& g, const Node& node) { return fold_max_pool(g, node, precision); });
}

void fuse_moments(Graph& graph, Precision precision) {
  for (Node& norm : graph.nodes) {
    const auto* spec = std::get_if<BatchNormSpec>(&norm.spec);
    if (!spec || spec->phase != Phase::training || norm.pass != Pass::forward) continue;
    const int i = writer(graph, norm.src[0].value);
    Node* conv = i < 0 ? nullptr : &graph.nodes[static_cast<size_t>(i)];
    if (!conv || !is_convolution(*conv) || conv->act != Activation::none || conv->moments) continue;
    const Value& result = graph.at(norm.src[0].value);
    Value moments;
    moments.name = result.name + ".moments";
    moments.type = Type::f64;
    moments.shape = {1, 1, 1, 2 * result.shape.c};
    const auto id = static_cast<ValueId>(graph.values.size());
    Node summed = *conv;
    summed.moments = true;
    summed.dst.push_back({id});
    graph.values.push_back(std::move(moments));
    if (same_kernel(graph, summed, *conv, precision)) {
      *conv = std::move(summed);
      norm.src.push_back({id});
    } else {
      graph.values.pop_back();
    }
  }
}

void defer_batch_norms(Graph& graph) {
  for (const Node& node : std::vector<Node>(graph.nodes)) {
    const auto* norm = std::get_if<BatchNormSpec>(&node.spec);
    if (!norm || norm->phase == Phase::inference || node.pass != Pass::forward || node.residual != no_value) continue;
    const ValueId y = node.dst[0].value;
    const bool possible = std::all_of(graph.nodes.begin(), graph.nodes.end(),
                                      [&](const Node& reader) { return can_normalise(reader, y); });
    if (possible && !graph.at(y).external && readers(graph, y) > 0) defer(graph, node);
  }
}

}  // namespace pixelwise
