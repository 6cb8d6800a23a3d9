#include "pixelwise/app/experiment.hpp"

#include <algorithm>
#include <array>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/data/survey.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/nn/differentiate.hpp"
#include "pixelwise/nn/fuse.hpp"
#include "pixelwise/train/weights.hpp"

namespace pixelwise {
namespace {

constexpr double auxiliary_factor = 0.5;  // as torchvision trains its models
constexpr const char* config_key = "pixelwise.config";

LossNormalization normalization_of(const std::string& name) {
  if (name == "sum") return LossNormalization::sum;
  return name == "batch" ? LossNormalization::batch : LossNormalization::mean;
}

// One plane a class that is 1 where the pixel is of the class, or the ids themselves.
ValueId targets_of(Builder& builder, const Config& config, ValueId labels) {
  if (config.loss.targets == "index") return labels;
  return builder.one_hot(labels, "targets", {config.model.classes, config.data.ignore_label, builder.type()});
}

ValueId loss_of(Builder& builder, const Config& config, const ModelOutputs& outputs, ValueId labels) {
  SoftmaxCrossEntropySpec spec;
  spec.normalize = normalization_of(config.loss.normalize);
  spec.label_smoothing = config.loss.label_smoothing;
  spec.ignore_label = config.data.ignore_label;
  spec.class_weights = config.loss.class_weights != NameOr<double>{};
  spec.shared_denominator = config.train.accumulate > 1;
  const ValueId targets = targets_of(builder, config, labels);
  const ValueId denominator =
      spec.shared_denominator ? builder.input("denominator", builder.type(), {1, 1, 1, 1}) : no_value;
  if (outputs.auxiliary == no_value)
    return builder.softmax_cross_entropy(outputs.scores, targets, "loss", spec, denominator);
  const ValueId main = builder.softmax_cross_entropy(outputs.scores, targets, "main_loss", spec, denominator);
  const ValueId other = builder.softmax_cross_entropy(outputs.auxiliary, targets, "aux_loss", spec, denominator);
  return builder.weighted_sum({main, other}, {1, auxiliary_factor}, "loss");
}

}  // namespace

Graph training_graph(const Config& config, Size size) {
  const int64_t n = config.train.batch_size;
  Graph graph;
  Builder builder(graph, Phase::training);
  const ValueId image = builder.input("image", builder.type(), {n, size.h, size.w, config.model.in_channels});
  const ValueId labels = builder.input("labels", Type::u8, {n, size.h, size.w, 1});
  loss_of(builder, config, build_model(builder, model_spec(config), image), labels);
  fuse(graph);
  fuse_losses(graph);
  differentiate(graph, graph.find("loss"));
  fuse_moments(graph, precision_of(config));
  defer_batch_norms(graph);
  recompute(graph, recompute_of(config), precision_of(config));
  return graph;
}

Graph inference_graph(const ModelSpec& model, const Shape& shape, Keep keep, Precision precision) {
  Graph graph;
  Builder builder(graph, Phase::inference);
  if (keep.dropout) builder.keep_dropout();
  const ValueId image = builder.input("image", builder.type(), shape);
  const ValueId scores = build_model(builder, model, image).scores;
  if (keep.scores) {
    graph.at(scores).name = "scores";
    builder.mark_external(scores);
  }
  if (keep.probabilities) builder.mark_external(builder.softmax(scores, "probabilities"));
  builder.mark_external(builder.argmax(scores, "prediction"));
  fuse(graph);
  fold(graph);
  fold_max_pools(graph, precision);
  return graph;
}

Size training_size(const Config& config, const Dataset& dataset) {
  const Size crop = config.augment.crop;
  if (crop.h * crop.w > 0) return crop;
  if (dataset.size() == 0) throw DataError("the training split is empty");
  return dataset.read(0).photo.size();
}

Size validation_size(const Config& config, Size largest) {
  if (config.eval.protocol != "padded") return largest;
  const Size pad_to = *config.eval.pad_to;
  if (pad_to.h < largest.h || pad_to.w < largest.w)
    throw UsageError(format("key 'eval.pad_to': given {}, wanted at least the largest photo's size, {}",
                            to_string(pad_to), to_string(largest)));
  return pad_to;
}

int64_t total_steps(const Config& config, int64_t steps_per_epoch) {
  return config.train.max_steps.value_or(config.train.epochs * steps_per_epoch);
}

std::vector<double> class_weights(const Config& config, const std::function<Survey()>& train) {
  if (config.loss.class_weights.name.empty()) return config.loss.class_weights.values;
  std::vector<double> weights = median_frequency_weights(train(), config.model.classes);
  if (weights.empty()) throw DataError("loss.class_weights: the training masks show no class");
  return weights;
}

void save_model(const std::string& path, const Config& config, const Parameters& parameters) {
  save_weights(path, parameters, {{config_key, config_json(config)}});
}

TrainedModel::TrainedModel(const std::string& weights_path) {
  const SafetensorsFile file(weights_path);
  const auto found = file.metadata().find(config_key);
  if (found == file.metadata().end())
    throw DataError(
        format("{}: its metadata has no '{}': these are not the weights of a run. Import them with "
               "segtrain --weights, and use the run's weights.safetensors",
               weights_path, config_key));
  try {
    config_ = parse_config_text(found->second, weights_path);
  } catch (const UsageError& error) {
    throw DataError(error.what());
  }
  class_names_ = pixelwise::class_names(config_);
  constexpr int64_t any = 64;  // the shapes of parameters do not depend on the photo's size
  const Graph graph = inference_graph(model_spec(config_), {1, any, any, config_.model.in_channels});
  // Numbers. A damaged configuration must not allocate a model that its file could not half fill; where only some
  // tensors are missing, the report below names them.
  int64_t wanted = 0, held = 0;
  for (const Value& value : graph.values) wanted += value.storage == Storage::arena ? 0 : value.shape.count();
  for (const TensorInfo& tensor : file.tensors()) held += tensor.count();
  constexpr int64_t few = 1 << 20;
  if (wanted > few && wanted / 2 > held)
    throw DataError(
        format("{}: does not hold the model of its own configuration: {} numbers of {}", weights_path, held, wanted));
  parameters_.ensure(graph, 0);
  LoadReport report = load_weights(file, parameters_, LoadMode::matching);
  std::erase_if(report.unexpected, [](const std::string& name) { return name.starts_with("aux_classifier."); });
  if (!report.missing.empty() || !report.wrong_shape.empty() || !report.unexpected.empty())
    throw DataError(
        format("{}: does not hold the model of its own configuration: {}", weights_path, to_string(report)));
}

MakeExecutor TrainedModel::maker(Keep keep) {
  return [this, keep](const Shape& shape) {
    const Precision precision = precision_of(config_);
    return Executor(inference_graph(model_spec(config_), shape, keep, precision), parameters_, arena_, precision);
  };
}

EvaluatorOptions evaluator_options(const Config& config) {
  EvaluatorOptions options;
  options.classes = config.model.classes;
  options.in_channels = config.model.in_channels;
  options.ignore_label = config.data.ignore_label;
  options.normalize = config.model.normalize;
  if (config.eval.protocol == "padded") options.pad_to = config.eval.pad_to;
  return options;
}

}  // namespace pixelwise
