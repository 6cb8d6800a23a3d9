#include "pixelwise/nn/parameters.hpp"

#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/rng.hpp"
#include "pixelwise/kernels/conv2d.hpp"

namespace pixelwise {
namespace {

template <class T>
void fill(const Parameter& parameter, const auto& value_of) {
  T* data = parameter.view().as<T>();
  const int64_t count = parameter.shape.count();
  for (int64_t i = 0; i < count; ++i) data[i] = static_cast<T>(value_of(static_cast<uint64_t>(i)));
}

void fill(const Parameter& parameter, const auto& value_of) {
  if (parameter.type == Type::f64) return fill<double>(parameter, value_of);
  fill<float>(parameter, value_of);
}

// Inputs that one output sums over: kernel taps x input channels of its group.
double fan_in(const Parameter& p) {
  return static_cast<double>(p.layout == Layout::depthwise ? p.shape.h * p.shape.w : p.shape.h * p.shape.w * p.shape.c);
}
double fan_out(const Parameter& p) {
  return static_cast<double>(p.layout == Layout::depthwise ? p.shape.h * p.shape.w : p.shape.h * p.shape.w * p.shape.n);
}

}  // namespace

void initialise(Parameter& parameter, uint64_t seed) {
  const Random random(seed, "init." + parameter.name);
  ++parameter.version;
  switch (parameter.init) {
    case Init::zeros:
      return fill(parameter, [](uint64_t) { return 0.0; });
    case Init::ones:
      return fill(parameter, [](uint64_t) { return 1.0; });
    case Init::constant:
      return fill(parameter, [&](uint64_t) { return parameter.constant; });
    case Init::normal_001:
      return fill(parameter, [&](uint64_t i) { return 0.01 * random.normal(i); });
    case Init::kaiming_normal: {  // He et al. 2015, equation 10: std = sqrt(2 / fan_in)
      const double deviation = std::sqrt(2.0 / fan_in(parameter));
      return fill(parameter, [&](uint64_t i) { return deviation * random.normal(i); });
    }
    case Init::xavier_uniform: {  // Glorot, Bengio 2010, equation 16
      const double bound = std::sqrt(6.0 / (fan_in(parameter) + fan_out(parameter)));
      return fill(parameter, [&](uint64_t i) { return bound * (2 * random.uniform(i) - 1); });
    }
    case Init::bilinear:
      return fill_bilinear(parameter.view());
  }
}

std::vector<int64_t> Parameter::torch_shape() const {
  switch (layout) {
    case Layout::vector:
      return {shape.c};
    case Layout::oihw:
      return {shape.n, shape.c, shape.h, shape.w};
    case Layout::depthwise:
      return {shape.c, 1, shape.h, shape.w};
  }
  return {};
}

void Parameters::ensure(const Graph& graph, uint64_t seed) {
  for (const Value& value : graph.values) {
    if (value.storage == Storage::arena) continue;
    if (Parameter* known = find(value.name)) {
      if (known->shape != value.shape || known->type != value.type)
        throw UsageError(format("parameter '{}' is {} {} already; the graph wants {} {}", value.name,
                                to_string(known->type), to_string(known->shape), to_string(value.type),
                                to_string(value.shape)));
      continue;
    }
    auto parameter = std::make_unique<Parameter>();
    parameter->name = value.name;
    parameter->type = value.type;
    parameter->shape = value.shape;
    parameter->layout = value.layout;
    parameter->init = value.init;
    parameter->constant = value.constant;
    parameter->trained = value.storage == Storage::parameter && !value.frozen;
    parameter->memory = Memory(value.shape.count() * size_of(value.type));
    initialise(*parameter, seed);
    by_name_[value.name] = parameter.get();
    list_.push_back(std::move(parameter));
  }
}

Parameter* Parameters::find(const std::string& name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}
const Parameter* Parameters::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

Parameter& Parameters::at(const std::string& name) {
  if (Parameter* parameter = find(name)) return *parameter;
  throw UsageError(format("there is no parameter '{}'", name));
}

std::vector<Parameter*> Parameters::all() {
  std::vector<Parameter*> result;
  for (const auto& parameter : list_) result.push_back(parameter.get());
  return result;
}
std::vector<const Parameter*> Parameters::all() const {
  std::vector<const Parameter*> result;
  for (const auto& parameter : list_) result.push_back(parameter.get());
  return result;
}

int64_t Parameters::count() const {
  int64_t count = 0;
  for (const auto& parameter : list_) {
    if (parameter->trained) count += parameter->shape.count();
  }
  return count;
}

}  // namespace pixelwise
