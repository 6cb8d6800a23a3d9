#include "pixelwise/train/optimizer.hpp"

#include <algorithm>
#include <cmath>

#include "core/format.hpp"
#include "pixelwise/core/checked.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/parallel.hpp"

namespace pixelwise {
namespace {

enum class Rule { sgd, adam, adamw };

Rule rule_of(const std::string& name) {
  if (name == "sgd") return Rule::sgd;
  if (name == "adam") return Rule::adam;
  if (name == "adamw") return Rule::adamw;
  throw UsageError(format("optimizer.name is '{}'; use sgd, adam or adamw", name));
}

// Work is cut into chunks of this many elements whatever the number of threads: sums over them keep their order.
constexpr int64_t chunk_elements = int64_t{1} << 16;

struct Chunk {
  size_t parameter = 0;
  int64_t begin = 0, end = 0;
};

// What the update of one parameter needs besides its elements.
struct Rates {
  double lr = 0, weight_decay = 0;
  double gradient_scale = 1;  // clipping
};

// Sum of squares in double, in eight lanes that the compiler turns into vectors.
template <class T>
double sum_of_squares(const T* x, int64_t count) {
  constexpr int64_t lanes = 8;
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const double value = static_cast<double>(x[i + lane]);
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
bool all_finite(const T* x, int64_t count) {
  return std::all_of(x, x + count, [](T value) { return std::isfinite(value); });
}

// torch.optim.SGD: g += wd p;  v = momentum v + g;  p -= lr v. Without momentum: p -= lr g.
template <class T>
void sgd(T* __restrict p, const T* __restrict g, T* __restrict v, int64_t count, const Rates& rates, double momentum) {
  const T lr = static_cast<T>(rates.lr), decay = static_cast<T>(rates.weight_decay), mu = static_cast<T>(momentum);
  const T scale = static_cast<T>(rates.gradient_scale);
  if (!v) {
    for (int64_t i = 0; i < count; ++i) p[i] -= lr * (g[i] * scale + decay * p[i]);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const T velocity = mu * v[i] + (g[i] * scale + decay * p[i]);
    v[i] = velocity;
    p[i] -= lr * velocity;
  }
}

// torch.optim.Adam (Kingma, Ba 2015, algorithm 1): g += wd p, and torch.optim.AdamW (Loshchilov, Hutter 2019, algorithm
// 2): p -= lr wd p; then for both, at step t,
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
struct AdamFactors {
  double beta1 = 0, beta2 = 0, eps = 0;
  double correction1 = 0, correction2 = 0;  // 1 - beta^t
  bool decoupled = false;                   // AdamW
};

template <class T>
void adam(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict v, int64_t count, const Rates& rates,
          const AdamFactors& f) {
  const T scale = static_cast<T>(rates.gradient_scale);
  const T coupled = static_cast<T>(f.decoupled ? 0 : rates.weight_decay);
  const T shrink = static_cast<T>(f.decoupled ? 1 - rates.lr * rates.weight_decay : 1);
  const T keep1 = static_cast<T>(f.beta1), take1 = static_cast<T>(1 - f.beta1);
  const T keep2 = static_cast<T>(f.beta2), take2 = static_cast<T>(1 - f.beta2);
  const T rate = static_cast<T>(rates.lr / f.correction1), root = static_cast<T>(std::sqrt(f.correction2));
  const T eps = static_cast<T>(f.eps);
  for (int64_t i = 0; i < count; ++i) {
    const T gradient = g[i] * scale + coupled * p[i];
    m[i] = keep1 * m[i] + take1 * gradient;
    v[i] = keep2 * v[i] + take2 * gradient * gradient;
    p[i] = p[i] * shrink - rate * (m[i] / (std::sqrt(v[i]) / root + eps));
  }
}

}  // namespace

struct Optimizer::Impl {
  OptimizerOptions options;
  Rule rule;
  std::vector<Parameter*> parameters;
  std::vector<View> gradients;
  std::vector<std::unique_ptr<Parameter>> first, second;  // momentum or Adam's m; Adam's v
  std::vector<Chunk> chunks;
  mutable std::vector<double> squares;  // one a chunk
  int64_t steps = 0;

  void add_state(std::vector<std::unique_ptr<Parameter>>& list, const char* kind) {
    for (const Parameter* parameter : parameters) {
      auto state = std::make_unique<Parameter>();
      state->name = std::string(kind) + "." + parameter->name;
      state->type = parameter->type;
      state->shape = parameter->shape;
      state->layout = parameter->layout;
      state->trained = false;
      state->memory = Memory(parameter->shape.count() * size_of(parameter->type));
      list.push_back(std::move(state));
    }
  }

  // Vectors follow `bias`, names under "backbone." follow `backbone`; the rates of both multiply, and the weight decay
  // of `bias` goes before that of `backbone`.
  Rates rates_of(const Parameter& parameter, double lr, double gradient_scale) const {
    Rates rates{lr, options.weight_decay, gradient_scale};
    const auto apply = [&](const GroupOptions& group) {
      rates.lr *= group.lr_scale;
      rates.weight_decay = group.weight_decay.value_or(rates.weight_decay);
    };
    if (parameter.name.starts_with("backbone.")) apply(options.backbone);
    if (parameter.layout == Layout::vector) apply(options.bias);
    return rates;
  }

  template <class T>
  void update(const Chunk& chunk, const Rates& rates, const AdamFactors& factors) const {
    const size_t i = chunk.parameter;
    const int64_t count = chunk.end - chunk.begin;
    const auto part = [&](const View& view) { return view.as<T>() + chunk.begin; };
    T* p = part(parameters[i]->view());
    const T* g = part(gradients[i]);
    if (rule == Rule::sgd)
      sgd(p, g, first.empty() ? nullptr : part(first[i]->view()), count, rates, options.momentum);
    else
      adam(p, g, part(first[i]->view()), part(second[i]->view()), count, rates, factors);
  }
};

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<Parameter*> parameters)
    : impl_(std::make_unique<Impl>()) {
  Impl& impl = *impl_;
  impl.options = options;
  impl.rule = rule_of(options.name);
  impl.parameters = std::move(parameters);
  for (size_t i = 0; i < impl.parameters.size(); ++i) {
    const Parameter& parameter = *impl.parameters[i];
    if (parameter.type != Type::f32 && parameter.type != Type::f64)
      throw UsageError(
          format("parameter '{}' is {}: optimisers take f32 or f64", parameter.name, to_string(parameter.type)));
    const int64_t count = parameter.shape.count();
    for (int64_t begin = 0; begin < count; begin += chunk_elements)
      impl.chunks.push_back({i, begin, std::min(begin + chunk_elements, count)});
  }
  impl.squares.resize(impl.chunks.size());
  if (impl.rule == Rule::sgd && options.momentum != 0) impl.add_state(impl.first, "momentum");
  if (impl.rule != Rule::sgd) {
    impl.add_state(impl.first, "adam.m");
    impl.add_state(impl.second, "adam.v");
  }
}
Optimizer::~Optimizer() = default;

void Optimizer::bind(std::vector<View> gradients) {
  if (gradients.size() != impl_->parameters.size())
    throw UsageError(format("{} gradients for {} parameters", gradients.size(), impl_->parameters.size()));
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Parameter& parameter = *impl_->parameters[i];
    const View& gradient = gradients[i];
    if (gradient.shape != parameter.shape || gradient.type != parameter.type || !is_dense(gradient))
      throw UsageError(format("the gradient of '{}' is {} {}; wanted {} {}, dense", parameter.name,
                              to_string(gradient.type), to_string(gradient.shape), to_string(parameter.type),
                              to_string(parameter.shape)));
  }
  impl_->gradients = std::move(gradients);
}

GradientCheck Optimizer::check() const {
  const Impl& impl = *impl_;
  const auto square = [&](const View& gradient, const Chunk& chunk) {
    const int64_t count = chunk.end - chunk.begin;
    return gradient.type == Type::f64 ? sum_of_squares(gradient.as<double>() + chunk.begin, count)
                                      : sum_of_squares(gradient.as<float>() + chunk.begin, count);
  };
  parallel_for(static_cast<int64_t>(impl.chunks.size()), [&](int64_t c, int) {
    const Chunk& chunk = impl.chunks[static_cast<size_t>(c)];
    impl.squares[static_cast<size_t>(c)] = square(impl.gradients[chunk.parameter], chunk);
  });
  GradientCheck result;
  double sum = 0;
  for (size_t c = 0; c < impl.chunks.size(); ++c) {
    sum += impl.squares[c];
    if (std::isfinite(impl.squares[c]) || !result.finite) continue;  // a double holds the square of every float
    const Chunk& chunk = impl.chunks[c];
    const View& gradient = impl.gradients[chunk.parameter];
    const int64_t count = chunk.end - chunk.begin;
    result.finite = gradient.type == Type::f64 && all_finite(gradient.as<double>() + chunk.begin, count);
    if (!result.finite) result.first_bad = impl.parameters[chunk.parameter]->name;
  }
  result.norm = std::sqrt(sum);
  return result;
}

void Optimizer::step(double lr, const GradientCheck& check) {
  Impl& impl = *impl_;
  if (!check.finite)
    throw DivergedError(format("the gradient of '{}' is not finite: no step was made", check.first_bad));
  double scale = 1;  // torch.nn.utils.clip_grad_norm_
  if (impl.options.clip_norm) scale = std::min(1.0, *impl.options.clip_norm / (check.norm + 1e-6));

  ++impl.steps;
  const double t = static_cast<double>(impl.steps);
  const AdamFactors factors{impl.options.beta1,
                            impl.options.beta2,
                            impl.options.eps,
                            1 - std::pow(impl.options.beta1, t),
                            1 - std::pow(impl.options.beta2, t),
                            impl.rule == Rule::adamw};
  parallel_for(static_cast<int64_t>(impl.chunks.size()), [&](int64_t c, int) {
    const Chunk& chunk = impl.chunks[static_cast<size_t>(c)];
    const Parameter& parameter = *impl.parameters[chunk.parameter];
    const Rates rates = impl.rates_of(parameter, lr, scale);
    if (parameter.type == Type::f64)
      impl.update<double>(chunk, rates, factors);
    else
      impl.update<float>(chunk, rates, factors);
  });
  for (Parameter* parameter : impl.parameters) ++parameter->version;
}

int64_t Optimizer::steps() const { return impl_->steps; }
void Optimizer::set_steps(int64_t steps) { impl_->steps = steps; }

std::vector<Parameter*> Optimizer::states() {
  std::vector<Parameter*> result;
  for (const auto& state : impl_->first) result.push_back(state.get());
  for (const auto& state : impl_->second) result.push_back(state.get());
  return result;
}

}  // namespace pixelwise
