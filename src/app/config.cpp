#include "pixelwise/app/config.hpp"

#include <algorithm>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {
namespace {

constexpr double any = 1e300;
constexpr double whole = 9e15;       // exact in a double
constexpr double most = 2147483647;  // of a count: products of two stay below 2^63
constexpr Bounds positive{1, most}, not_negative{0, most}, fraction{0, 1};
constexpr Bounds channel_count{1, 65536};  // products of sizes, channels and kernels stay far below 2^63

Fields model_fields(Config::Model& m) {
  ModelOptions& o = m.options;
  Fields options{
      {"padding",
       &o.padding,
       "FCN: `published` pads the photo by 100 and crops, as the paper",
       {},
       {"same", "published"}},
      {"dropout", &o.dropout, "probability; null: the published", {0, 0.99}},
      {"width", &o.width, "factor on the channels of the backbone", {0.01, 16}},
      {"channel_multiple",
       &o.channel_multiple,
       "MobileNetV2: channels are a multiple of it (1: Google's narrow DeepLabs)",
       {1, 64}},
      {"fc_channels", &o.fc_channels, "channels of fc6 and fc7; null: 4096 x width", channel_count},
      {"upsampling", &o.upsampling, "FCN: bilinear upsampling that is learned on, or fixed", {}, {"learned", "fixed"}},
      {"at_once", &o.at_once, "FCN: scale pool4 by 0.01 and pool3 by 0.0001, for training in one stage"},
      {"bayesian", &o.bayesian, "SegNet: dropout around the centre, for `segpredict --samples`"},
      {"output_stride", &o.output_stride, "of the backbone: 8, 16 or 32; null: the published", {8, 32}},
      {"rates", &o.rates, "of ASPP's atrous branches, any number; null: 6, 12, 18 (doubled at stride 8)", {1, 1024}},
      {"head_channels", &o.head_channels, "DeepLab: channels of ASPP and decoder", channel_count},
      {"separable", &o.separable, "DeepLab: depthwise-separable convolutions in ASPP and decoder"},
      {"image_pooling",
       &o.image_pooling,
       "ASPP's pooled branch: batch norm with the batch's statistics (the running ones where the batch is one photo), "
       "always the running ones, no batch norm, or no branch",
       {},
       {"batch", "running", "unnormalised", "none"}},
      {"batch_norm", &o.batch_norm, "FCN heads, DeepLab: false: biases instead, for weights that it was folded into"},
      {"head_conv", &o.head_conv,
       "DeepLab v3: a 3x3 convolution between ASPP and the scores (torchvision's has it, Google's not)"},
      {"auxiliary", &o.auxiliary, "ResNets: the auxiliary head in training, its loss times 0.5"},
      {"align_corners", &o.align_corners, "DeepLab, FCN heads: of bilinear resizing"},
  };
  Fields weights{
      {"file", &m.weights.file, "safetensors file to start from; null: random weights"},
      {"load",
       &m.weights.load,
       "which part of the model is loaded, and has to be there; `matching`: whatever fits",
       {},
       {"all", "all_but_classifier", "backbone", "matching"}},
  };
  Fields normalize{
      {"mean", &m.normalize.mean, "one a channel: input = (pixel - mean) / std", {-any, any}},
      {"std", &m.normalize.std, "one a channel", {1e-6, any}},
  };
  return {
      {"name", &m.name, "`segdescribe --list` shows them"},
      {"classes", &m.classes, "number of classes, void not counted", {1, 256}},
      {"in_channels", &m.in_channels, "1: grey, 3: RGB", {1, 3}},
      {"options", options, "what a model may vary"},
      {"weights", weights, "the weights that a training starts from"},
      {"normalize", normalize, "from 8-bit pixels to the network's input"},
  };
}

Fields data_fields(Config::Data& d) {
  return {
      {"format", &d.format, "the reader", {}, {"voc", "list", "shapes"}},
      {"root", &d.root, "folder of the data set; `--data-root` overrides it"},
      {"image_dir", &d.image_dir, "voc: folder of the photos"},
      {"mask_dir", &d.mask_dir, "voc: folder of the masks"},
      {"list_dir", &d.list_dir, "voc: folder of the lists"},
      {"train", &d.train, "voc: name of a list; list: a file of `image mask` pairs; shapes: number of scenes"},
      {"val", &d.val, "the same for validation"},
      {"first", &d.first, "take only so many samples of each split; null: all", positive},
      {"resize",
       &d.resize,
       "resize every photo and mask, [height, width], in training and evaluation; null: as they are",
       {1, 16384}},
      {"centre_crop",
       &d.centre_crop,
       "take only the middle of every photo, [height, width]; null: all of it",
       {1, 16384}},
      {"ignore_label", &d.ignore_label, "id of void pixels in the masks", {0, 255}},
      {"class_names", &d.class_names, "`voc`, `camvid`, `shapes`, or a list of names"},
      {"on_bad",
       &d.on_bad,
       "samples that cannot be read, or have ids out of range: stop, naming them, or leave them out",
       {},
       {"stop", "skip"}},
      {"max_bad", &d.max_bad, "on_bad skip: the largest share of a split that is left out", fraction},
      {"workers", &d.workers, "threads that load; 0: none", {0, 64}},
      {"size", &d.size, "shapes: size of the scenes, [height, width]", {16, 4096}},
  };
}

Fields augment_fields(Config::Augment& a) {
  return {
      {"scale", &a.scale, "random scale: lowest and highest factor", {0.05, 20}},
      {"crop", &a.crop, "size of the random crop, [height, width]; [0, 0]: none", {0, 16384}},
      {"flip", &a.flip, "probability of a horizontal flip", fraction},
      {"brightness", &a.brightness, "factor in [1 - x, 1 + x]", fraction},
      {"contrast", &a.contrast, "factor in [1 - x, 1 + x]", fraction},
      {"saturation", &a.saturation, "factor in [1 - x, 1 + x]", fraction},
  };
}

Fields loss_fields(Config::Loss& l) {
  return {
      {"targets", &l.targets, "a plane for every class, or class ids; the loss is the same", {}, {"one_hot", "index"}},
      {"normalize",
       &l.normalize,
       "divide by the weight of all pixels, by nothing, by images",
       {},
       {"mean", "sum", "batch"}},
      {"class_weights",
       &l.class_weights,
       "null, `median_frequency`, or one number a class",
       {0, any},
       {"median_frequency"}},
      {"label_smoothing", &l.label_smoothing, "s: targets become (1 - s) t + s / classes", fraction},
  };
}

Fields group_fields(GroupOptions& g) {
  return {
      {"lr_scale", &g.lr_scale, "factor on the learning rate", {0, any}},
      {"weight_decay", &g.weight_decay, "null: the optimiser's", {0, any}},
  };
}

Fields optimizer_fields(OptimizerOptions& o) {
  return {
      {"name", &o.name, "the optimiser", {}, {"sgd", "adam", "adamw"}},
      {"lr", &o.lr, "learning rate", {0, any}},
      {"momentum", &o.momentum, "sgd", fraction},
      {"weight_decay", &o.weight_decay, "of all parameters", {0, any}},
      {"beta1", &o.beta1, "adam, adamw", fraction},
      {"beta2", &o.beta2, "adam, adamw", fraction},
      {"eps", &o.eps, "adam, adamw", {0, any}},
      {"bias", group_fields(o.bias), "biases and the weights of batch norm"},
      {"backbone", group_fields(o.backbone), "parameters of the backbone"},
      {"clip_norm", &o.clip_norm, "largest norm of all gradients together; null: no clipping", {1e-12, any}},
  };
}

Fields schedule_fields(ScheduleOptions& s) {
  return {
      {"name", &s.name, "how the learning rate falls", {}, {"fixed", "step", "poly"}},
      {"power", &s.power, "poly: (1 - step / steps) ^ power", {0, any}},
      {"milestones", &s.milestones, "step: the steps at which it falls", not_negative},
      {"gamma", &s.gamma, "step: the factor", {0, any}},
      {"warmup_steps", &s.warmup_steps, "steps in which it rises from 0", not_negative},
  };
}

Fields train_fields(Config::Train& t) {
  return {
      {"batch_size", &t.batch_size, "photos in a (micro-)batch", {1, 4096}},
      {"accumulate", &t.accumulate, "micro-batches in a step", {1, 4096}},
      {"epochs", &t.epochs, "passes over the training data", positive},
      {"max_steps", &t.max_steps, "number of steps, in place of `epochs`", positive},
      {"validate_every_epochs", &t.validate_every_epochs, "0: only at the end", not_negative},
      {"checkpoint_every_steps", &t.checkpoint_every_steps, "0: only at the end", not_negative},
      {"recompute",
       &t.recompute,
       "gradient checkpointing: less memory, the same bits; `cheap`: backward computes again what is no convolution, "
       "`all`: convolutions too",
       {},
       {"none", "cheap", "all"}},
  };
}

Fields eval_fields(Config::Eval& e) {
  return {
      {"protocol", &e.protocol, "every photo at its own size, or padded to `pad_to`", {}, {"native", "padded"}},
      {"pad_to", &e.pad_to, "size to pad photos to, [height, width]; the padding is not counted", {1, 16384}},
  };
}

void require(bool good, const std::string& key, const std::string& given, const std::string& wanted) {
  if (!good) throw UsageError(format("key '{}': given {}, wanted {}", key, given, wanted));
}

}  // namespace

Fields fields_of(Config& config) {
  return {
      {"seed", &config.seed, "of weights, order, augmentation and dropout", {0, whole}},
      {"precision", &config.precision, "strict: plain fp32 sums; fp32: faster algorithms too", {}, {"strict", "fp32"}},
      {"model", model_fields(config.model), "the network"},
      {"data", data_fields(config.data), "what is trained and evaluated on"},
      {"augment", augment_fields(config.augment), "random changes of the training photos"},
      {"loss", loss_fields(config.loss), "pixel-wise softmax cross-entropy"},
      {"optimizer", optimizer_fields(config.optimizer), "how gradients become steps"},
      {"schedule", schedule_fields(config.schedule), "the learning rate over time"},
      {"train", train_fields(config.train), "the training loop"},
      {"eval", eval_fields(config.eval), "how validation and segeval measure"},
  };
}

void check_config(const Config& config) {
  const Config::Model& m = config.model;
  find_model(m.name);
  const auto channels = static_cast<size_t>(m.in_channels), classes = static_cast<size_t>(m.classes);
  require(m.in_channels != 2, "model.in_channels", "2", "1 or 3");
  for (const auto& [key, list] : {std::pair{"mean", &m.normalize.mean}, {"std", &m.normalize.std}})
    require(list->size() == channels, format("model.normalize.{}", key), format("{} numbers", list->size()),
            format("{}, one for each of model.in_channels", channels));
  const std::vector<double>& scale = config.augment.scale;
  require(scale.size() == 2 && scale[0] <= scale[1], "augment.scale", format("{}", fmt::join(scale, ", ")),
          "[lowest, highest]");
  const std::vector<double>& weights = config.loss.class_weights.values;
  require(weights.empty() || weights.size() == classes, "loss.class_weights", format("{} numbers", weights.size()),
          format("{}, one for each of model.classes", classes));
  require(config.eval.protocol == "native" || config.eval.pad_to, "eval.pad_to", "null",
          "[height, width], for the protocol 'padded'");
  const size_t names = class_names(config).size();
  require(names == classes, "data.class_names", format("{} names", names),
          format("{}, one for each of model.classes", classes));
}

Config parse_config_text(const std::string& text, const std::string& source, const std::vector<std::string>& settings) {
  Config config;
  Fields fields = fields_of(config);
  parse_config(text, source, fields);
  for (const std::string& setting : settings) apply_setting(setting, fields);
  check_config(config);
  return config;
}

Config load_config(const std::string& path, const std::vector<std::string>& settings) {
  constexpr int64_t largest = int64_t{1} << 20;
  try {
    return parse_config_text(read_file(path, largest), path, settings);
  } catch (const DataError& error) {  // a config that cannot be read is wrong usage
    throw UsageError(error.what());
  }
}

std::string config_json(const Config& config) {
  Config copy = config;
  return config_to_json(fields_of(copy));
}

std::string config_schema() {
  Config config;
  return config_schema(fields_of(config), "Configuration of a Pixelwise experiment");
}

std::string config_table() {
  Config config;
  return config_markdown(fields_of(config));
}

ModelSpec model_spec(const Config& config) {
  return {config.model.name, config.model.classes, config.model.in_channels, config.model.options};
}

Precision precision_of(const Config& config) {
  return config.precision == "strict" ? Precision::strict : Precision::fp32;
}

Recompute recompute_of(const Config& config) {
  if (config.train.recompute == "cheap") return Recompute::cheap;
  return config.train.recompute == "all" ? Recompute::all : Recompute::none;
}

AugmentOptions augment_options(const Config& config) {
  const Config::Augment& a = config.augment;
  return {a.scale[0], a.scale[1], a.crop, a.flip, a.brightness, a.contrast, a.saturation};
}

std::vector<std::string> class_names(const Config& config) {
  const NameOr<std::string>& names = config.data.class_names;
  if (!names.name.empty()) return preset_class_names(names.name);
  if (!names.values.empty()) return names.values;
  std::vector<std::string> numbers;
  for (int64_t c = 0; c < config.model.classes; ++c) numbers.push_back(format("{}", c));
  return numbers;
}

std::unique_ptr<Dataset> open_dataset(const Config& config, const std::string& split) {
  const Config::Data& d = config.data;
  DataOptions options;
  options.format = d.format;
  options.root = d.root;
  options.image_dir = d.image_dir;
  options.mask_dir = d.mask_dir;
  options.list_dir = d.list_dir;
  options.train = d.train;
  options.val = d.val;
  options.ignore_label = d.ignore_label;
  options.class_names_preset = d.class_names.name;
  options.class_names = d.class_names.values;
  options.workers = d.workers;
  options.shapes_size = d.size;
  options.missing_files = d.on_bad == "skip";
  auto dataset =
      open_dataset(options, split, config.model.classes, config.model.in_channels, static_cast<uint64_t>(config.seed));
  if (d.first) dataset = first_samples(std::move(dataset), *d.first);
  if (d.resize) dataset = resized(std::move(dataset), *d.resize);
  if (d.centre_crop) dataset = centre_crops(std::move(dataset), *d.centre_crop);
  return dataset;
}

}  // namespace pixelwise
