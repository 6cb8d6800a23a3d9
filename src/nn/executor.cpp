#include "pixelwise/nn/executor.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {

std::byte* Arena::reserve(int64_t bytes) {
  if (bytes > memory_.bytes()) {
    memory_ = Memory();  // give the old block back first: both need not be there at once
    memory_ = Memory(bytes);
    ++generation_;
  }
  return memory_.data();
}

bool Arena::change_user(const void* user) { return std::exchange(user_, user) != user; }

namespace {

// A node made ready to run: its kernel and all addresses.
struct Call {
  Arguments arguments;
  std::vector<size_t> accumulated;        // indices of dst that add after the first micro-batch
  std::vector<const Parameter*> packs;    // whose packed or folded copy this node keeps
  std::vector<uint64_t> packed_versions;  // of that copy; empty: none yet
  std::vector<View> batch_norm;           // weight, bias, mean, variance to fold; empty: none
  double eps = 0;
};

// scale = weight / sqrt(variance + eps), shift = bias - mean * scale: batch norm with constant statistics.
template <class T>
void fold(const Call& call) {
  const auto at = [&](int i) { return call.batch_norm[static_cast<size_t>(i)].as<T>(); };
  const Epilogue& e = call.arguments.epilogue;
  for (int64_t c = 0; c < e.scale.shape.c; ++c) {
    const double scale = static_cast<double>(at(0)[c]) / std::sqrt(static_cast<double>(at(3)[c]) + call.eps);
    e.scale.as<T>()[c] = static_cast<T>(scale);
    e.shift.as<T>()[c] = static_cast<T>(static_cast<double>(at(1)[c]) - static_cast<double>(at(2)[c]) * scale);
  }
}

// Single numbers that differentiate left to be filled from outside: external gradients that no node begins by writing.
std::vector<ValueId> gradients_of_losses(const Graph& graph) {
  std::vector<bool> touched(graph.values.size()), filled(graph.values.size());
  for (const Node& node : graph.nodes) {
    for (const Input& input : node.src) touched[static_cast<size_t>(input.value)] = true;
    for (const Output& output : node.dst) {
      const auto id = static_cast<size_t>(output.value);
      filled[id] = filled[id] || (!touched[id] && output.mode != Accumulate::add);
      touched[id] = true;
    }
  }
  std::vector<ValueId> seeds;
  for (const Value& value : graph.values) {
    if (value.gradient == no_value || value.storage != Storage::arena) continue;
    const Value& gradient = graph.at(value.gradient);
    const auto id = static_cast<size_t>(value.gradient);
    if (gradient.external && gradient.shape.count() == 1 && touched[id] && !filled[id]) seeds.push_back(value.gradient);
  }
  return seeds;
}

}  // namespace

struct Executor::Impl {
  Graph graph;
  Parameters& parameters;
  std::shared_ptr<Arena> arena;
  Precision precision;
  Plan plan;
  int threads = 0;
  uint64_t generation = 0;
  std::vector<ValueId> seeds;  // gradients of losses: set to 1 before each run
  std::vector<Call> calls;
  StepKey key;
  bool poison = false;

  Impl(Graph g, Parameters& p, std::shared_ptr<Arena> a, Precision pr)
      : graph(std::move(g)), parameters(p), arena(std::move(a)), precision(pr) {
    seeds = gradients_of_losses(graph);
    prepare();
  }

  // Scratch depends on the number of threads, addresses on the arena's block: both may change between runs.
  void prepare() {
    if (threads != thread_count()) {
      threads = thread_count();
      plan = make_plan(graph, graph.all(), precision);
      generation = 0;
    }
    std::byte* base = arena->reserve(plan.arena_bytes);
    if (arena->change_user(this)) {
      for (Call& call : calls) call.packed_versions.clear();  // another plan has written over the packed copies
    }
    if (generation == arena->generation() && !calls.empty()) return;
    generation = arena->generation();
    calls.clear();
    for (size_t i = 0; i < graph.nodes.size(); ++i) calls.push_back(bind(i, base));
  }

  View view(ValueId id) const {
    if (id == no_value) return {};
    const Value& value = graph.at(id);
    if (value.storage != Storage::arena) return parameters_at(value.name).view();
    if (value.deferred) return {};
    const int64_t offset = plan.offset[static_cast<size_t>(id)];
    if (offset < 0) throw UsageError(format("value '{}' is not used by any node: it has no memory", value.name));
    return value_view(graph, plan, id, arena_data());
  }
  std::byte* arena_data() const { return arena->reserve(0); }
  Parameter& parameters_at(const std::string& name) const { return parameters.at(name); }

  Call bind(size_t i, std::byte* base) const {
    const Node& node = graph.nodes[i];
    Call call;
    Arguments& a = call.arguments;
    for (const Input& input : node.src)
      a.src.push_back({view(input.value), view(input.scale), view(input.shift), input.act});
    for (const Output& output : node.dst) {
      if (output.mode == Accumulate::add_after_first) call.accumulated.push_back(a.dst.size());
      a.dst.push_back({view(output.value), output.mode == Accumulate::add ? Mode::add : Mode::write});
    }
    for (const ValueId id : node.parameters) {
      a.parameters.push_back(view(id));
      if (graph.at(id).storage != Storage::arena) call.packs.push_back(&parameters.at(graph.at(id).name));
    }
    if (plan.folded_offset[i] >= 0) fold_into(call, node, base + plan.folded_offset[i]);
    a.epilogue.residual = view(node.residual);
    a.epilogue.act = node.act;
    a.epilogue.gate = view(node.gate);
    a.epilogue.gate_act = node.gate_act;
    if (plan.scratch_offset[i] >= 0) a.scratch = base + plan.scratch_offset[i];
    if (plan.packed_offset[i] >= 0) a.packed = base + plan.packed_offset[i];
    a.key = &key;
    // Backward and replayed nodes draw the numbers of the forward node: "drop6.backward" -> "drop6".
    const bool original = node.pass == Pass::forward && !node.replay;
    const std::string name = original ? node.name : node.name.substr(0, node.name.rfind('.'));
    a.node_key = Random(0, name).key();
    return call;
  }

  void fold_into(Call& call, const Node& node, std::byte* memory) const {
    const FoldedBatchNorm& norm = node.batch_norm;
    for (const ValueId id : {norm.weight, norm.bias, norm.mean, norm.variance}) {
      call.batch_norm.push_back(view(id));
      call.packs.push_back(&parameters.at(graph.at(id).name));
    }
    call.eps = norm.eps;
    const Value& weight = graph.at(norm.weight);
    Epilogue& e = call.arguments.epilogue;
    e.scale = dense_view(memory, weight.type, weight.shape);
    e.shift = dense_view(memory + weight.shape.c * size_of(weight.type), weight.type, weight.shape);
  }

  void pack(const Kernel& kernel, Call& call) const {
    if (!kernel.pack && call.batch_norm.empty()) return;
    bool current = !graph.trains() && call.packed_versions.size() == call.packs.size();
    for (size_t i = 0; current && i < call.packs.size(); ++i)
      current = call.packs[i]->version == call.packed_versions[i];
    if (current) return;
    if (kernel.pack) kernel.pack(call.arguments);
    if (!call.batch_norm.empty()) call.batch_norm[0].type == Type::f64 ? fold<double>(call) : fold<float>(call);
    call.packed_versions.resize(call.packs.size());
    for (size_t i = 0; i < call.packs.size(); ++i) call.packed_versions[i] = call.packs[i]->version;
  }

  void run_node(size_t i, bool first_micro_batch) {
    Call& call = calls[i];
    for (const size_t d : call.accumulated) call.arguments.dst[d].mode = first_micro_batch ? Mode::write : Mode::add;
    if (poison) poison_dead(static_cast<int>(i));
    try {
      pack(plan.kernels[i], call);
      plan.kernels[i].run(call.arguments);
    } catch (const Error& error) {
      throw Error(error.code(), format("node '{}': {}", graph.nodes[i].name, error.what()));
    }
  }

  void seed_gradients() const {
    for (const ValueId id : seeds) {
      const View one = view(id);
      if (one.type == Type::f64) *one.as<double>() = 1;
      if (one.type == Type::f32) *one.as<float>() = 1;
    }
  }

  // Fills with NaN what no value owns that was written before node i (or is external) and is read at i or later.
  void poison_dead(int now);
};

void Executor::Impl::poison_dead(int now) {
  std::vector<std::pair<int64_t, int64_t>> alive;  // offset, bytes
  const auto keep = [&](int64_t offset, int64_t bytes) {
    if (offset >= 0) alive.emplace_back(offset, bytes);
  };
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    bool written = value.external, read = value.external;
    for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
      const Node& node = graph.nodes[static_cast<size_t>(i)];
      for (const Output& output : node.dst) {
        if (output.value != static_cast<ValueId>(id)) continue;
        written |= i < now;
        read |= i >= now && output.mode == Accumulate::add;
        read |= output.mode == Accumulate::add_after_first;
      }
      for_each_read(node, [&](ValueId operand) { read |= i >= now && operand == static_cast<ValueId>(id); });
    }
    if (written && read) keep(plan.offset[id], value_bytes(graph, plan, static_cast<ValueId>(id)));
    if (read && !value.external) {  // gradients of parameters hold the sum of the micro-batches before
      for (const Value& other : graph.values) {
        if (other.storage == Storage::parameter && other.gradient == static_cast<ValueId>(id))
          keep(plan.offset[id], value_bytes(graph, plan, static_cast<ValueId>(id)));
      }
    }
  }
  if (!graph.trains()) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      keep(plan.packed_offset[i], plan.kernels[i].packed_bytes);
      keep(plan.folded_offset[i], folded_bytes(graph, graph.nodes[i]));
    }
  }
  std::sort(alive.begin(), alive.end());
  alive.emplace_back(plan.arena_bytes, 0);
  int64_t at = 0;
  for (const auto& [offset, bytes] : alive) {
    if (offset > at)
      std::memset(arena_data() + at, 0xff, static_cast<size_t>(offset - at));  // all ones: NaN in any width
    at = std::max(at, offset + bytes);
  }
}

Executor::Executor(Graph graph, Parameters& parameters, std::shared_ptr<Arena> arena, Precision precision)
    : impl_(std::make_unique<Impl>(std::move(graph), parameters, std::move(arena), precision)) {}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;

const Graph& Executor::graph() const { return impl_->graph; }
const Plan& Executor::plan() const { return impl_->plan; }

View Executor::view(ValueId id) const {
  impl_->prepare();
  return impl_->view(id);
}

View Executor::view(const std::string& name) const {
  const ValueId id = impl_->graph.find(name);
  if (id == no_value) throw UsageError(format("the graph has no value '{}'", name));
  return view(id);
}

void Executor::run(const StepKey& key, bool first_micro_batch) { run(impl_->graph.all(), key, first_micro_batch); }

void Executor::run(Range nodes, const StepKey& key, bool first_micro_batch) {
  impl_->prepare();
  impl_->key = key;
  if (impl_->graph.trains()) impl_->seed_gradients();
  for (int i = nodes.begin; i < nodes.end; ++i) impl_->run_node(static_cast<size_t>(i), first_micro_batch);
}

void Executor::set_poison(bool on) { impl_->poison = on; }

std::vector<NodeTime> Executor::profile(const StepKey& key) {
  impl_->prepare();
  impl_->key = key;
  if (impl_->graph.trains()) impl_->seed_gradients();
  std::vector<NodeTime> times;
  for (size_t i = 0; i < impl_->graph.nodes.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    impl_->run_node(i, true);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    times.push_back({impl_->graph.nodes[i].name, impl_->plan.kernels[i].name, took.count()});
  }
  return times;
}

}  // namespace pixelwise
