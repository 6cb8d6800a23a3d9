#include "pixelwise/nn/builder.hpp"

#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/kernels/conv2d.hpp"
#include "pixelwise/nn/operator.hpp"

namespace pixelwise {

Builder::Builder(Graph& graph, Phase phase, Type type) : graph_(graph), phase_(phase), type_(type) {}

ValueId Builder::input(const std::string& name, Type type, const Shape& shape) {
  Value value;
  value.name = name;
  value.type = type;
  value.shape = shape;
  value.external = true;
  graph_.values.push_back(value);
  return static_cast<ValueId>(graph_.values.size()) - 1;
}

ValueId Builder::parameter(const std::string& name, const Shape& shape, Init init, Layout layout, Storage storage) {
  const ValueId known = graph_.find(name);
  if (known != no_value) {
    if (graph_.at(known).shape != shape)
      throw UsageError(format("parameter '{}' is {} already, asked for again as {}", name,
                              to_string(graph_.at(known).shape), to_string(shape)));
    return known;
  }
  Value value;
  value.name = name;
  value.type = type_;
  value.shape = shape;
  value.storage = storage;
  value.init = init;
  value.layout = layout;
  graph_.values.push_back(value);
  return static_cast<ValueId>(graph_.values.size()) - 1;
}

void Builder::mark_external(ValueId id) { graph_.at(id).external = true; }

std::vector<ValueId> Builder::node(const std::string& name, const OpSpec& spec, const std::vector<ValueId>& src,
                                   const std::vector<ValueId>& parameters) {
  Node node;
  node.name = name;
  node.spec = spec;
  for (const ValueId id : src) node.src.push_back({id});
  node.parameters = parameters;
  const Operator& op = operator_of(spec);
  const std::vector<TensorDesc> results = op.infer(graph_, node);
  const Geometry2d geometry = op.geometry(graph_, node);
  std::vector<ValueId> dst;
  for (size_t i = 0; i < results.size(); ++i) {
    Value value;
    value.name = i == 0 ? name : format("{}:{}", name, i);
    value.type = results[i].type;
    value.shape = results[i].shape;
    value.geometry = geometry;
    graph_.values.push_back(value);
    dst.push_back(static_cast<ValueId>(graph_.values.size()) - 1);
    node.dst.push_back({dst.back()});
  }
  graph_.nodes.push_back(std::move(node));
  graph_.forward_nodes = static_cast<int>(graph_.nodes.size());
  return dst;
}

namespace {

// The weights and the bias of a convolution or a transposed convolution of x.
template <class Spec>
std::vector<ValueId> weights_and_bias(Builder& builder, ValueId x, const std::string& name, const Spec& spec,
                                      Shape (*weights_shape)(const Spec&, int64_t), Init init) {
  const int64_t channels = builder.at(x).shape.c;
  if (spec.groups < 1 || channels % spec.groups)
    throw UsageError(format("node '{}': {} groups do not divide {} input channels: use a number that does", name,
                            spec.groups, channels));
  const bool depthwise = spec.groups == channels && spec.groups == spec.out_channels && channels > 1;
  std::vector<ValueId> parameters{builder.parameter(name + ".weight", weights_shape(spec, channels), init,
                                                    depthwise ? Layout::depthwise : Layout::oihw)};
  if (spec.bias)
    parameters.push_back(builder.parameter(name + ".bias", {1, 1, 1, spec.out_channels}, Init::zeros, Layout::vector));
  return parameters;
}

}  // namespace

ValueId Builder::conv2d(ValueId x, const std::string& name, const Conv2dSpec& spec, Init init) {
  const std::vector<ValueId> parameters = weights_and_bias(*this, x, name, spec, conv2d_weights_shape, init);
  return node(name, spec, {x}, parameters)[0];
}

ValueId Builder::conv_transpose2d(ValueId x, const std::string& name, const ConvTranspose2dSpec& spec, Init init,
                                  bool frozen) {
  const std::vector<ValueId> parameters = weights_and_bias(*this, x, name, spec, conv_transpose2d_weights_shape, init);
  for (const ValueId id : parameters) graph_.at(id).frozen = frozen;
  return node(name, spec, {x}, parameters)[0];
}

ValueId Builder::scale(ValueId x, const std::string& name, double factor) {
  Conv2dSpec spec{at(x).shape.c, {1, 1}};
  spec.groups = spec.out_channels;
  spec.bias = false;
  const std::vector<ValueId> weights = weights_and_bias(*this, x, name, spec, conv2d_weights_shape, Init::constant);
  graph_.at(weights[0]).constant = factor;
  graph_.at(weights[0]).frozen = true;
  return node(name, spec, {x}, weights)[0];
}

ValueId Builder::batch_norm(ValueId x, const std::string& name, double eps, double momentum,
                            std::optional<Phase> phase) {
  const Shape vector{1, 1, 1, at(x).shape.c};
  const std::vector<ValueId> parameters{
      parameter(name + ".weight", vector, Init::ones, Layout::vector),
      parameter(name + ".bias", vector, Init::zeros, Layout::vector),
      parameter(name + ".running_mean", vector, Init::zeros, Layout::vector, Storage::state),
      parameter(name + ".running_var", vector, Init::ones, Layout::vector, Storage::state)};
  return node(name, BatchNormSpec{eps, momentum, phase.value_or(phase_)}, {x}, parameters)[0];
}

ValueId Builder::relu(ValueId x, const std::string& name) {
  return node(name, ActivationSpec{Activation::relu}, {x})[0];
}
ValueId Builder::relu6(ValueId x, const std::string& name) {
  return node(name, ActivationSpec{Activation::relu6}, {x})[0];
}

ValueId Builder::dropout(ValueId x, const std::string& name, double p, bool channels) {
  if (!(p >= 0 && p < 1)) throw UsageError(format("node '{}': dropout probability {} is not in [0, 1)", name, p));
  if (p == 0 || (phase_ == Phase::inference && !keeps_dropout_)) return x;
  return node(name, DropoutSpec{p, channels, Phase::training}, {x})[0];
}

Builder::Pooled Builder::max_pool2d(ValueId x, const std::string& name, const MaxPool2dSpec& spec) {
  const std::vector<ValueId> dst = node(name, spec, {x});
  return {dst[0], dst[1]};
}

ValueId Builder::max_unpool2d(const Pooled& pooled, ValueId x, const std::string& name, const MaxUnpool2dSpec& spec) {
  return node(name, spec, {x, pooled.indices})[0];
}

ValueId Builder::avg_pool2d(ValueId x, const std::string& name, const AvgPool2dSpec& spec) {
  return node(name, spec, {x})[0];
}
ValueId Builder::global_avg_pool(ValueId x, const std::string& name) { return node(name, GlobalAvgPoolSpec{}, {x})[0]; }
ValueId Builder::add(const std::vector<ValueId>& xs, const std::string& name) { return node(name, AddSpec{}, xs)[0]; }
ValueId Builder::concat(const std::vector<ValueId>& xs, const std::string& name) {
  return node(name, ConcatSpec{}, xs)[0];
}
ValueId Builder::crop(ValueId x, const std::string& name, const CropSpec& spec) { return node(name, spec, {x})[0]; }

namespace {

// The first pixel of x that lies on the first pixel of the reference.
int64_t first_pixel(const std::string& name, const Geometry& x, const Geometry& reference) {
  const double first = (reference.offset - x.offset) / x.stride;
  if (x.stride != reference.stride)
    throw UsageError(
        format("node '{}': cannot crop a map of stride {} to one of stride {}", name, x.stride, reference.stride));
  if (first != std::floor(first) || first < 0)
    throw UsageError(
        format("node '{}': the reference begins at pixel {} of the map, wanted a whole number >= 0: change the "
               "padding or the kernel of the upsampling",
               name, first));
  return static_cast<int64_t>(first);
}

}  // namespace

ValueId Builder::crop_like(ValueId x, ValueId reference, const std::string& name) {
  const Geometry2d g = at(x).geometry, r = at(reference).geometry;
  return crop(x, name, {first_pixel(name, g.h, r.h), first_pixel(name, g.w, r.w), at(reference).shape.size()});
}

ValueId Builder::pad(ValueId x, const std::string& name, const PadSpec& spec) { return node(name, spec, {x})[0]; }
ValueId Builder::cast(ValueId x, const std::string& name, Type type) { return node(name, CastSpec{type}, {x})[0]; }
ValueId Builder::resize(ValueId x, const std::string& name, const ResizeSpec& spec) { return node(name, spec, {x})[0]; }
ValueId Builder::softmax(ValueId x, const std::string& name) { return node(name, SoftmaxSpec{}, {x})[0]; }
ValueId Builder::argmax(ValueId x, const std::string& name) { return node(name, ArgmaxSpec{}, {x})[0]; }
ValueId Builder::one_hot(ValueId ids, const std::string& name, const OneHotSpec& spec) {
  return node(name, spec, {ids})[0];
}

ValueId Builder::softmax_cross_entropy(ValueId scores, ValueId targets, const std::string& name,
                                       const SoftmaxCrossEntropySpec& spec, ValueId denominator) {
  std::vector<ValueId> src{scores, targets}, parameters;
  if (spec.shared_denominator) src.push_back(denominator);
  if (spec.class_weights)
    parameters.push_back(
        parameter(name + ".class_weights", {1, 1, 1, at(scores).shape.c}, Init::ones, Layout::vector, Storage::state));
  const ValueId loss = node(name, spec, src, parameters)[0];
  mark_external(loss);
  return loss;
}

ValueId Builder::weighted_sum(const std::vector<ValueId>& scalars, const std::vector<double>& factors,
                              const std::string& name) {
  WeightedSumSpec spec;
  if (scalars.size() != factors.size() || scalars.size() > std::size(spec.factor))
    throw UsageError(format("node '{}': {} scalars and {} factors, wanted equally many and at most {}", name,
                            scalars.size(), factors.size(), std::size(spec.factor)));
  std::copy(factors.begin(), factors.end(), spec.factor);
  const ValueId sum = node(name, spec, scalars)[0];
  mark_external(sum);
  return sum;
}

}  // namespace pixelwise
