// Builds a forward graph node by node; shapes, types and geometry are derived as it grows. Models are written with it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

class Builder {
 public:
  /// type: of the maps and parameters that the builder makes: f32, or f64 to prove a model on the definitions.
  explicit Builder(Graph& graph, Phase phase, Type type = Type::f32);

  Graph& graph() { return graph_; }
  Phase phase() const { return phase_; }
  Type type() const { return type_; }
  const Value& at(ValueId id) const { return graph_.at(id); }

  /// A map that is filled from outside before each run.
  ValueId input(const std::string& name, Type type, const Shape& shape);
  /// A parameter (or state) by its full name; asking twice for a name gives the same value.
  ValueId parameter(const std::string& name, const Shape& shape, Init init, Layout layout,
                    Storage storage = Storage::parameter);
  /// From here on dropout stays on in inference, where it is left out otherwise: each run samples another network (Gal,
  /// Ghahramani 2016, "Dropout as a Bayesian approximation").
  void keep_dropout() { keeps_dropout_ = true; }
  /// Keeps a value alive until the end of the run, so that it can be read from outside.
  void mark_external(ValueId id);

  // `name` names the node; parameters are called name.weight, name.bias, name.running_mean, ...
  ValueId conv2d(ValueId x, const std::string& name, const Conv2dSpec& spec, Init init = Init::kaiming_normal);
  ValueId conv_transpose2d(ValueId x, const std::string& name, const ConvTranspose2dSpec& spec,
                           Init init = Init::bilinear, bool frozen = false);
  /// x times a constant: a frozen depthwise 1x1 convolution.
  ValueId scale(ValueId x, const std::string& name, double factor);
  /// phase: inference in a training graph normalises with the running statistics; default: the builder's.
  ValueId batch_norm(ValueId x, const std::string& name, double eps = 1e-5, double momentum = 0.1,
                     std::optional<Phase> phase = {});
  ValueId relu(ValueId x, const std::string& name);
  ValueId relu6(ValueId x, const std::string& name);
  ValueId dropout(ValueId x, const std::string& name, double p, bool channels = false);  ///< see keep_dropout
  struct Pooled {
    ValueId map, indices;
  };
  Pooled max_pool2d(ValueId x, const std::string& name, const MaxPool2dSpec& spec);
  ValueId max_unpool2d(const Pooled& pooled, ValueId x, const std::string& name, const MaxUnpool2dSpec& spec);
  ValueId avg_pool2d(ValueId x, const std::string& name, const AvgPool2dSpec& spec);
  ValueId global_avg_pool(ValueId x, const std::string& name);
  ValueId add(const std::vector<ValueId>& xs, const std::string& name);
  ValueId concat(const std::vector<ValueId>& xs, const std::string& name);
  ValueId crop(ValueId x, const std::string& name, const CropSpec& spec);
  /// Crops x to the pixels that `reference` has: the offset comes from the geometry of both. Throws where strides
  /// differ, the offset is not whole, or x does not cover the reference.
  ValueId crop_like(ValueId x, ValueId reference, const std::string& name);
  ValueId pad(ValueId x, const std::string& name, const PadSpec& spec);
  ValueId cast(ValueId x, const std::string& name, Type type);
  ValueId resize(ValueId x, const std::string& name, const ResizeSpec& spec);
  ValueId softmax(ValueId x, const std::string& name);
  ValueId argmax(ValueId x, const std::string& name);
  ValueId one_hot(ValueId ids, const std::string& name, const OneHotSpec& spec);
  /// The scalar loss. class_weights: the name of a state {1,1,1,C} where the specification asks for it.
  ValueId softmax_cross_entropy(ValueId scores, ValueId targets, const std::string& name,
                                const SoftmaxCrossEntropySpec& spec, ValueId denominator = no_value);
  ValueId weighted_sum(const std::vector<ValueId>& scalars, const std::vector<double>& factors,
                       const std::string& name);

  /// Any node: the general form of all the above. Infers and makes the destinations; returns them.
  std::vector<ValueId> node(const std::string& name, const OpSpec& spec, const std::vector<ValueId>& src,
                            const std::vector<ValueId>& parameters = {});

 private:
  Graph& graph_;
  Phase phase_;
  Type type_;
  bool keeps_dropout_ = false;
};

}  // namespace pixelwise
