#include "pixelwise/nn/recompute.hpp"

#include <algorithm>

#include "nn/uses.hpp"
#include "pixelwise/nn/plan.hpp"

namespace pixelwise {
namespace {

// Vectors (the statistics of a batch norm, say), and indices of a byte each.
bool is_small(const Value& value) { return value.type == Type::u8 || value.shape.size() == Size{1, 1}; }

int64_t bytes_of(const Value& value) { return value.shape.count() * size_of(value.type); }

// Where the values of the forward pass are written and read: indices of nodes, -1: nowhere.
struct Lifetimes {
  std::vector<int> writer, last_reader;  // in forward
  std::vector<bool> read_in_backward;

  explicit Lifetimes(const Graph& graph)
      : writer(graph.values.size(), -1), last_reader(graph.values.size(), -1), read_in_backward(graph.values.size()) {
    for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
      const Node& node = graph.nodes[static_cast<size_t>(i)];
      const bool forward = i < graph.forward_nodes;
      for_each_read(node, [&](ValueId id) {
        if (forward) last_reader[static_cast<size_t>(id)] = i;
        if (!forward) read_in_backward[static_cast<size_t>(id)] = true;
      });
      for (const Output& output : node.dst) {
        if (forward) writer[static_cast<size_t>(output.value)] = i;
      }
    }
  }
  bool crosses(size_t id, int cut) const { return writer[id] >= 0 && writer[id] <= cut && last_reader[id] > cut; }
};

// A cut lies behind the node of this index. Each of `segments` has about the same number of bytes that backward reads;
// the cut between two of them is where the fewest bytes cross, at most half a segment away.
std::vector<int> choose_cuts(const Graph& graph, const Lifetimes& life, int segments) {
  std::vector<int64_t> saved(static_cast<size_t>(graph.forward_nodes)), crossing(saved.size());
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    if (life.writer[id] < 0 || value.deferred || value.external || is_small(value)) continue;
    if (life.read_in_backward[id]) saved[static_cast<size_t>(life.writer[id])] += bytes_of(value);
    for (int i = life.writer[id]; i < life.last_reader[id]; ++i) crossing[static_cast<size_t>(i)] += bytes_of(value);
  }
  double total = 0;
  for (const int64_t bytes : saved) total += static_cast<double>(bytes);
  std::vector<int> cuts(static_cast<size_t>(segments) + 1, -1);
  double before = 0;
  for (int i = 0; i < graph.forward_nodes; ++i) {
    before += static_cast<double>(saved[static_cast<size_t>(i)]);
    int& cut = cuts[static_cast<size_t>(total > 0 ? before / total * segments + 0.5 : 0)];
    if (cut < 0 || crossing[static_cast<size_t>(i)] <= crossing[static_cast<size_t>(cut)]) cut = i;
  }
  cuts.pop_back();           // of the end
  cuts.erase(cuts.begin());  // of the beginning
  std::erase(cuts, -1);
  return cuts;
}

class Recomputation {
 public:
  Recomputation(Graph& graph, Recompute which, int segments)
      : graph_(graph), life_(graph), twins_(graph.values.size(), no_value) {
    const std::vector<int> cuts = choose_cuts(graph, life_, segments);
    for (size_t id = 0; id < graph.values.size(); ++id) kept_.push_back(is_kept(id, which, cuts));
  }

  // Rewrites the backward pass.
  void run() {
    const std::vector<Node> nodes(graph_.nodes.begin() + graph_.forward_nodes, graph_.nodes.end());
    graph_.nodes.resize(static_cast<size_t>(graph_.forward_nodes));
    for (Node node : nodes) {
      take_twins(node);
      graph_.nodes.push_back(std::move(node));
    }
  }

 private:
  bool is_kept(size_t id, Recompute which, const std::vector<int>& cuts) const {
    const Value& value = graph_.values[id];
    const int writer = life_.writer[id];
    if (writer < 0 || value.external || is_small(value)) return true;
    if (cuts.empty() || writer > cuts.back()) return true;  // the last segment
    if (which == Recompute::cheap && is_convolution(graph_.nodes[static_cast<size_t>(writer)])) return true;
    return std::any_of(cuts.begin(), cuts.end(), [&](int cut) { return life_.crosses(id, cut); });
  }

  // The node reads what was kept, and twins of the rest, which are computed before it.
  void take_twins(Node& node) {
    for (Input& input : node.src) input.value = twin(input.value);
    if (node.residual != no_value) node.residual = twin(node.residual);
    if (node.gate != no_value) node.gate = twin(node.gate);
  }

  ValueId twin(ValueId id) {
    const auto i = static_cast<size_t>(id);
    if (i >= kept_.size() || kept_[i]) return id;
    if (twins_[i] == no_value) replay(graph_.nodes[static_cast<size_t>(life_.writer[i])]);
    return twins_[i];
  }

  ValueId make_twin(ValueId id) {
    const Value& value = graph_.at(id);
    Value copy;
    copy.name = value.name + ".replay";
    copy.type = value.type, copy.shape = value.shape, copy.geometry = value.geometry;
    graph_.values.push_back(std::move(copy));
    return twins_[static_cast<size_t>(id)] = static_cast<ValueId>(graph_.values.size()) - 1;
  }

  // Appends a node that computes again what a forward node did. (A copy: the list grows.)
  void replay(Node node) {
    const auto* norm = std::get_if<BatchNormSpec>(&node.spec);
    if (norm && norm->phase == Phase::training) node = normalisation(node);
    if (node.moments) node.dst.pop_back();
    node.moments = false;
    take_twins(node);
    for (Output& output : node.dst) output.value = make_twin(output.value);
    node.name += ".replay";
    node.replay = true;
    graph_.nodes.push_back(std::move(node));
  }

  // act(scale x + shift + residual), with the scale and the shift that the batch norm made from its statistics.
  static Node normalisation(const Node& norm) {
    Node node;
    node.name = norm.name;
    node.spec = ActivationSpec{norm.act};
    node.src = {{norm.src[0].value, norm.dst[3].value, norm.dst[4].value}};
    node.dst = {norm.dst[0]};
    node.residual = norm.residual;
    return node;
  }

  Graph& graph_;
  Lifetimes life_;
  std::vector<ValueId> twins_;
  std::vector<bool> kept_;
};

}  // namespace

void recompute(Graph& graph, Recompute which, int segments) {
  if (which != Recompute::none && segments > 1) Recomputation(graph, which, segments).run();
}

void recompute(Graph& graph, Recompute which, Precision precision) {
  if (which == Recompute::none) return;
  const auto arena = [&](const Graph& g) { return make_plan(g, g.all(), precision).arena_bytes; };
  int64_t least = arena(graph);
  Graph best = graph;
  for (const int segments : {2, 3, 4, 6, 8, 12, 16, 24}) {
    Graph candidate = graph;
    recompute(candidate, which, segments);
    const int64_t bytes = arena(candidate);
    if (bytes >= least) continue;
    least = bytes;
    best = std::move(candidate);
  }
  graph = std::move(best);
}

}  // namespace pixelwise
