// The graph: values, and nodes in execution order. Forward and backward nodes are in one list; they print, plan and
// run alike.
#pragma once
#include <string>
#include <vector>

#include "pixelwise/core/operators.hpp"
#include "pixelwise/core/view.hpp"
#include "pixelwise/kernels/kernel.hpp"

namespace pixelwise {

using ValueId = int32_t;
inline constexpr ValueId no_value = -1;

/// Where the pixels of a map lie in the input image: pixel i is centred on input coordinate offset + stride * i, and
/// sees `field` input pixels around it. Derived along the graph, never typed in. (Long et al. 2015, section 3.2;
/// the arithmetic of receptive fields: Araujo, Norris, Sim 2019, https://distill.pub/2019/computing-receptive-fields.)
struct Geometry {
  double stride = 1, offset = 0, field = 1;
  friend bool operator==(const Geometry&, const Geometry&) = default;
};
/// Geometry per axis.
struct Geometry2d {
  Geometry h, w;
  friend bool operator==(const Geometry2d&, const Geometry2d&) = default;
};

enum class Storage : uint8_t {
  arena,      ///< planned: activations, gradients, inputs, outputs
  parameter,  ///< trained; lives in Parameters, outlives every plan
  state,      ///< kept but not trained: running statistics, class weights; lives in Parameters too
};

/// How a parameter is initialised before training.
enum class Init : uint8_t { zeros, ones, constant, kaiming_normal, xavier_uniform, bilinear, normal_001 };
/// How PyTorch's dimensions map to ours: {C} -> 1,1,1,C; OIHW -> O,H,W,I; depthwise C1HW -> 1,H,W,C.
enum class Layout : uint8_t { vector, oihw, depthwise };

struct Value {
  std::string name;
  Type type = Type::f32;
  Shape shape;
  Geometry2d geometry;
  Storage storage = Storage::arena;
  bool deferred = false;    ///< never in memory: every reader makes it from what a batch norm reads
  bool external = false;    ///< filled or read from outside (image, labels, loss, prediction): alive in all of the run
  Init init = Init::zeros;  ///< parameters and state
  double constant = 0;      ///< of Init::constant
  Layout layout = Layout::vector;  ///< parameters and state
  bool frozen = false;             ///< a parameter that is not trained
  bool needs_gradient = false;     ///< depends on a trained parameter
  ValueId gradient = no_value;     ///< set by differentiate
};

/// A map as a kernel reads it: act(scale * value + shift); scale and shift are those of a deferred batch norm.
struct Input {
  ValueId value = no_value, scale = no_value, shift = no_value;
  Activation act = Activation::none;
};

enum class Accumulate : uint8_t {
  write,
  add,
  add_after_first,  ///< write in the first micro-batch of a step, add in the others (gradients of parameters)
};
struct Output {
  ValueId value = no_value;
  Accumulate mode = Accumulate::write;
};

/// A batch norm with constant statistics that has become part of the node before it: Epilogue::scale and shift.
struct FoldedBatchNorm {
  ValueId weight = no_value, bias = no_value, mean = no_value, variance = no_value;
  double eps = 0;
  explicit operator bool() const { return weight != no_value; }
};

struct Node {
  std::string name;
  OpSpec spec;
  Pass pass = Pass::forward;
  bool replay = false;  ///< computes again, for backward, what the node of the same name (without ".replay") did
  std::vector<Input> src;
  std::vector<Output> dst;
  std::vector<ValueId> parameters;
  FoldedBatchNorm batch_norm;              ///< of dst[0], folded (Epilogue::scale, shift)
  Activation act = Activation::none;       ///< of dst[0], fused (Epilogue::act)
  ValueId residual = no_value;             ///< Epilogue::residual
  bool max_pool = false;                   ///< of dst[0], 2x2 of stride 2, after the activation, folded
  bool moments = false;                    ///< of dst[0], taken as it leaves: dst[1] (Problem::moments)
  ValueId gate = no_value;                 ///< Epilogue::gate
  Activation gate_act = Activation::none;  ///< Epilogue::gate_act
};

/// fn(id) for every value that the node reads, as often as it does.
template <class Fn>
void for_each_read(const Node& node, const Fn& fn) {
  const auto read = [&](ValueId id) {
    if (id != no_value) fn(id);
  };
  for (const Input& input : node.src) read(input.value), read(input.scale), read(input.shift);
  for (const ValueId id : node.parameters) read(id);
  const FoldedBatchNorm& norm = node.batch_norm;
  for (const ValueId id : {norm.weight, norm.bias, norm.mean, norm.variance, node.residual, node.gate}) read(id);
}

/// Half-open range of node indices.
struct Range {
  int begin = 0, end = 0;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;  // in execution order
  int forward_nodes = 0;    // nodes[0, forward_nodes) are the forward pass; set by differentiate

  Value& at(ValueId id) { return values.at(static_cast<size_t>(id)); }
  const Value& at(ValueId id) const { return values.at(static_cast<size_t>(id)); }
  ValueId find(const std::string& name) const;  ///< no_value where there is none
  /// Has it a backward pass? (Else it is for inference.)
  bool trains() const { return forward_nodes > 0 && static_cast<size_t>(forward_nodes) < nodes.size(); }
  Range all() const { return {0, static_cast<int>(nodes.size())}; }
};

}  // namespace pixelwise
