#include "pixelwise/train/weights.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {
namespace {

// Pieces of a tensor that is read or written are about this many elements: at least one output channel.
constexpr int64_t piece_elements = int64_t{1} << 18;

// A parameter as `rows` blocks that are contiguous both in the file and in memory; inside a block, element
// (channel, pixel) is at channel * pixels + pixel in the file, and at pixel * channels + channel in memory.
struct Blocks {
  int64_t rows = 1, channels = 1, pixels = 1;
  int64_t elements() const { return channels * pixels; }
};

Blocks blocks_of(const Parameter& parameter) {
  const Shape& s = parameter.shape;
  switch (parameter.layout) {
    case Layout::vector:  // {C}
      return {1, s.c, 1};
    case Layout::oihw:  // {O, I, H, W} against O, H, W, I
      return {s.n, s.c, s.h * s.w};
    case Layout::depthwise:  // {C, 1, H, W} against H, W, C
      return {1, s.c, s.h * s.w};
  }
  return {};
}

template <class T>
void to_file_order(const T* memory, T* file, const Blocks& blocks) {
  for (int64_t c = 0; c < blocks.channels; ++c) {
    for (int64_t p = 0; p < blocks.pixels; ++p) file[c * blocks.pixels + p] = memory[p * blocks.channels + c];
  }
}

template <class T>
void to_memory_order(const T* file, T* memory, const Blocks& blocks) {
  for (int64_t p = 0; p < blocks.pixels; ++p) {
    for (int64_t c = 0; c < blocks.channels; ++c) memory[p * blocks.channels + c] = file[c * blocks.pixels + p];
  }
}

int64_t rows_per_piece(const Blocks& blocks) {
  return std::clamp<int64_t>(piece_elements / std::max<int64_t>(blocks.elements(), 1), 1, blocks.rows);
}

template <class T>
void write_rows(const Parameter& parameter, const Sink& sink) {
  const Blocks blocks = blocks_of(parameter);
  const int64_t step = rows_per_piece(blocks), row = blocks.elements();
  std::vector<T> piece(static_cast<size_t>(step * row));
  for (int64_t first = 0; first < blocks.rows; first += step) {
    const int64_t count = std::min(step, blocks.rows - first);
    const T* memory = parameter.view().as<T>() + first * row;
    for (int64_t r = 0; r < count; ++r) to_file_order(memory + r * row, piece.data() + r * row, blocks);
    sink(std::as_bytes(std::span(piece.data(), static_cast<size_t>(count * row))));
  }
}

template <class T>
void read_rows(const SafetensorsFile& file, const TensorInfo& tensor, const Parameter& parameter) {
  const Blocks blocks = blocks_of(parameter);
  const int64_t step = rows_per_piece(blocks), row = blocks.elements();
  std::vector<T> piece(static_cast<size_t>(step * row));
  for (int64_t first = 0; first < blocks.rows; first += step) {
    const int64_t count = std::min(step, blocks.rows - first);
    file.read(tensor, first * row, count * row, piece.data());
    const auto end = piece.begin() + count * row;
    const auto bad = std::find_if(piece.begin(), end, [](T value) { return !std::isfinite(value); });
    if (bad != end)
      throw DataError(
          format("{}: tensor '{}' has {} at element {}: the weights of a training that diverged, or a "
                 "damaged file; use another",
                 file.path(), tensor.name, *bad, first * row + (bad - piece.begin())));
    T* memory = parameter.view().as<T>() + first * row;
    for (int64_t r = 0; r < count; ++r) to_memory_order(piece.data() + r * row, memory + r * row, blocks);
  }
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t extent : shape) text += format("{}{}", text.empty() ? "" : "x", extent);
  return text.empty() ? "scalar" : text;
}

// The same shape, or the matrix {O, I h w} of a fully connected layer.
bool fits(const TensorInfo& tensor, const Parameter& parameter) {
  const std::vector<int64_t> wanted = parameter.torch_shape();
  if (tensor.shape == wanted) return true;
  return parameter.layout == Layout::oihw && tensor.shape.size() == 2 && tensor.shape[0] == parameter.shape.n &&
         tensor.count() == parameter.shape.count();
}

// torchvision's name -> ours: VGG16's fully connected layers, and any backbone that stands alone in its file (VGG16,
// MobileNetV2: features.; ResNet: conv1., bn1., layer1. to layer4.).
struct Prefix {
  const char *theirs, *ours;
};
constexpr Prefix prefixes[] = {
    {"classifier.0.", "classifier.fc6."},
    {"classifier.3.", "classifier.fc7."},
    {"", "backbone."},
};

bool is_backbone(const std::string& name) { return name.starts_with("backbone."); }
// A part of the loss (its class weights) is no part of the model: the configuration says what it is.
bool is_of_loss(const std::string& name) { return name.ends_with("loss.class_weights"); }

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string first_few(const std::vector<std::string>& names) {
  constexpr size_t shown = 4;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), shown); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > shown ? format("{} and {} more", text, names.size() - shown) : text;
}

// The text of a wrong shape begins with the name.
bool only_classifier(const LoadReport& report, const std::vector<std::string>& classifier) {
  return report.missing.empty() &&
         std::all_of(report.wrong_shape.begin(), report.wrong_shape.end(),
                     [&](const auto& text) { return contains(classifier, text.substr(0, text.find(':'))); });
}

void require(const std::string& path, LoadMode mode, const LoadReport& report,
             const std::vector<std::string>& classifier) {
  std::string differences;
  const auto list = [&](const std::vector<std::string>& names, const char* what) {
    if (!names.empty()) differences += format("{}: {}; ", what, first_few(names));
  };
  if (mode != LoadMode::matching) {
    if (!report.wrong_shape.empty() && only_classifier(report, classifier))
      throw DataError(
          format("{}: weights for another number of classes: {}; use model.weights.load=all_but_classifier to "
                 "load the rest",
                 path, first_few(report.wrong_shape)));
    list(report.wrong_shape, "tensors of another shape");
    list(report.missing, "tensors are missing");
    if (mode != LoadMode::backbone) list(report.unexpected, "tensors that the model has not got");
    if (!differences.empty())
      throw DataError(
          format("{}: {}to load a part, ask for it with model.weights.load: all_but_classifier, backbone or matching "
                 "(whatever fits)",
                 path, differences));
  }
  if (report.matched.empty())
    throw DataError(format("{}: none of its tensors has a name and shape of this model; it holds {}", path,
                           report.unexpected.empty() ? "other shapes" : first_few(report.unexpected)));
}

}  // namespace

LoadMode load_mode(const std::string& name) {
  if (name == "all") return LoadMode::all;
  if (name == "all_but_classifier") return LoadMode::all_but_classifier;
  if (name == "backbone") return LoadMode::backbone;
  if (name == "matching") return LoadMode::matching;
  throw UsageError(format("model.weights.load is '{}'; use all, all_but_classifier, backbone or matching", name));
}

std::string to_string(const LoadReport& report) {
  std::string text = format("{} tensors loaded, {} missing, {} unexpected, {} of another shape", report.matched.size(),
                            report.missing.size(), report.unexpected.size(), report.wrong_shape.size());
  const auto list = [&](const char* title, const std::vector<std::string>& names) {
    if (!names.empty()) text += format("\n  {}: {}", title, first_few(names));
  };
  list("missing, keep their values", report.missing);
  list("unexpected, passed over", report.unexpected);
  list("of another shape, keep their values", report.wrong_shape);
  list("not asked for, keep their values", report.left_out);
  return text;
}

std::string model_name_of(const std::string& file_name, const Parameters& parameters) {
  if (parameters.find(file_name)) return file_name;
  for (const Prefix& prefix : prefixes) {
    if (!file_name.starts_with(prefix.theirs)) continue;
    const std::string name = prefix.ours + file_name.substr(std::string(prefix.theirs).size());
    if (parameters.find(name)) return name;
  }
  return {};
}

void read_parameter(const SafetensorsFile& file, const TensorInfo& tensor, Parameter& parameter) {
  if (!fits(tensor, parameter))
    throw DataError(format("{}: tensor '{}' is {}; wanted {}", file.path(), tensor.name, shape_text(tensor.shape),
                           shape_text(parameter.torch_shape())));
  ++parameter.version;
  if (parameter.type == Type::f64)
    read_rows<double>(file, tensor, parameter);
  else
    read_rows<float>(file, tensor, parameter);
}

LoadReport load_weights(const SafetensorsFile& file, Parameters& parameters, LoadMode mode,
                        const std::vector<std::string>& classifier) {
  const auto asked_for = [&](const std::string& name) {
    if (mode == LoadMode::backbone) return is_backbone(name);
    return mode != LoadMode::all_but_classifier || !contains(classifier, name);
  };
  LoadReport report;
  std::vector<std::pair<const TensorInfo*, Parameter*>> pairs;
  std::set<std::string> seen;
  for (const TensorInfo& tensor : file.tensors()) {
    // PyTorch counts batches; nothing depends on it. Class weights are the configuration's.
    if (tensor.name.ends_with("num_batches_tracked") || is_of_loss(tensor.name)) continue;
    const std::string name = model_name_of(tensor.name, parameters);
    if (name.empty() || !seen.insert(name).second) {
      report.unexpected.push_back(tensor.name);
      continue;
    }
    Parameter& parameter = parameters.at(name);
    if (!asked_for(name)) continue;
    if (!fits(tensor, parameter)) {
      report.wrong_shape.push_back(format("{}: {} in the file, {} in the model", name, shape_text(tensor.shape),
                                          shape_text(parameter.torch_shape())));
    } else {
      pairs.emplace_back(&tensor, &parameter);
      report.matched.push_back(name);
    }
  }
  for (const Parameter* parameter : parameters.all()) {
    const std::string& name = parameter->name;
    if (is_of_loss(name)) continue;
    if (!asked_for(name))
      report.left_out.push_back(name);
    else if (!seen.contains(name))
      report.missing.push_back(name);
  }
  for (auto* names : {&report.matched, &report.missing, &report.unexpected, &report.wrong_shape, &report.left_out})
    std::sort(names->begin(), names->end());
  require(file.path(), mode, report, classifier);  // before anything is changed
  file.verify();
  for (const auto& [tensor, parameter] : pairs) read_parameter(file, *tensor, *parameter);
  return report;
}

LoadReport load_weights(const std::string& path, Parameters& parameters, LoadMode mode,
                        const std::vector<std::string>& classifier) {
  return load_weights(SafetensorsFile(path), parameters, mode, classifier);
}

TensorToWrite tensor_to_write(const Parameter& parameter, const std::string& name) {
  const bool wide = parameter.type == Type::f64;
  return {name, wide ? FileType::f64 : FileType::f32, parameter.torch_shape(), [&parameter, wide](const Sink& sink) {
            if (wide)
              write_rows<double>(parameter, sink);
            else
              write_rows<float>(parameter, sink);
          }};
}

void save_weights(const std::string& path, const Parameters& parameters,
                  const std::map<std::string, std::string>& metadata) {
  std::vector<TensorToWrite> tensors;
  for (const Parameter* parameter : parameters.all()) {
    if (!is_of_loss(parameter->name)) tensors.push_back(tensor_to_write(*parameter, parameter->name));
  }
  write_safetensors(path, std::move(tensors), metadata);
}

}  // namespace pixelwise
