#include "pixelwise/train/checkpoint.hpp"

#include <charconv>
#include <set>
#include <utility>

#include "core/format.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/version.hpp"
#include "pixelwise/train/weights.hpp"

namespace pixelwise {
namespace {

constexpr const char* kind = "pixelwise checkpoint 1";

// Every tensor of a checkpoint by its name in the file.
std::vector<std::pair<std::string, Parameter*>> tensors_of(const std::vector<Parameter*>& parameters,
                                                           Optimizer& optimizer) {
  std::vector<std::pair<std::string, Parameter*>> tensors;
  for (Parameter* parameter : parameters) tensors.emplace_back(parameter->name, parameter);
  for (Parameter* state : optimizer.states()) tensors.emplace_back("optimizer." + state->name, state);
  return tensors;
}

std::map<std::string, std::string> to_metadata(const CheckpointInfo& info) {
  std::map<std::string, std::string> metadata{{"kind", kind},
                                              {"step", format("{}", info.step)},
                                              {"epoch", format("{}", info.epoch)},
                                              {"optimizer_steps", format("{}", info.optimizer_steps)},
                                              {"best_step", format("{}", info.best_step)},
                                              {"config", info.config},
                                              {"build", version()},
                                              {"isa", to_string(isa())}};
  if (info.best_metric) metadata["best_metric"] = format("{}", *info.best_metric);  // the shortest that reads back
  return metadata;
}

CheckpointInfo to_info(const SafetensorsFile& file) {
  const auto& metadata = file.metadata();
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = metadata.find(key);
    if (found == metadata.end())
      throw DataError(format("{}: its metadata has no '{}': not a checkpoint of this program", file.path(), key));
    return found->second;
  };
  const auto number = [&]<class T>(const char* key, T value) {
    const std::string& digits = text(key);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size())
      throw DataError(format("{}: metadata '{}' is '{}'; wanted a number", file.path(), key, digits));
    return value;
  };
  if (text("kind") != kind)
    throw DataError(format("{}: its metadata 'kind' is '{}'; wanted '{}'", file.path(), text("kind"), kind));
  CheckpointInfo info;
  info.step = number("step", int64_t{0});
  info.epoch = number("epoch", int64_t{0});
  info.optimizer_steps = number("optimizer_steps", int64_t{0});
  info.best_step = number("best_step", int64_t{0});
  if (metadata.contains("best_metric")) info.best_metric = number("best_metric", 0.0);
  info.config = text("config");
  info.build = text("build");
  info.isa = text("isa");
  return info;
}

}  // namespace

void save_checkpoint(const std::string& path, const CheckpointInfo& info, Parameters& parameters,
                     Optimizer& optimizer) {
  CheckpointInfo complete = info;
  complete.optimizer_steps = optimizer.steps();
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, parameter] : tensors_of(parameters.all(), optimizer))
    tensors.push_back(tensor_to_write(*parameter, name));
  write_safetensors(path, std::move(tensors), to_metadata(complete));
}

CheckpointInfo load_checkpoint(const std::string& path, Parameters& parameters, Optimizer& optimizer) {
  const SafetensorsFile file(path);
  const CheckpointInfo info = to_info(file);
  const auto wanted = tensors_of(parameters.all(), optimizer);
  std::set<std::string> names;
  for (const auto& [name, parameter] : wanted) {  // all checks before anything is changed
    names.insert(name);
    const TensorInfo* tensor = file.find(name);
    if (!tensor)
      throw DataError(format("{}: tensor '{}' is missing; was it saved with another model or optimiser?", path, name));
    if (tensor->shape != parameter->torch_shape())
      throw DataError(format("{}: tensor '{}' has another shape than in the model of this configuration", path, name));
  }
  for (const TensorInfo& tensor : file.tensors()) {
    if (!names.contains(tensor.name))
      throw DataError(
          format("{}: the model and optimiser of this configuration have no tensor '{}'", path, tensor.name));
  }
  file.verify();
  for (const auto& [name, parameter] : wanted) read_parameter(file, *file.find(name), *parameter);
  optimizer.set_steps(info.optimizer_steps);
  return info;
}

CheckpointInfo read_checkpoint_info(const std::string& path) { return to_info(SafetensorsFile(path)); }

std::optional<LatestCheckpoint> load_latest_checkpoint(const std::vector<std::string>& paths, Parameters& parameters,
                                                       Optimizer& optimizer) {
  LatestCheckpoint latest;
  for (const std::string& path : paths) {
    try {
      latest.info = load_checkpoint(path, parameters, optimizer);
      latest.path = path;
      return latest;
    } catch (const DataError& error) {
      latest.damaged.push_back(error.what());
    }
  }
  if (paths.empty()) return std::nullopt;
  std::string all = "none of the checkpoints can be loaded; start again in another run folder";
  for (const std::string& message : latest.damaged) all += "\n  " + message;
  throw DataError(all);
}

}  // namespace pixelwise
