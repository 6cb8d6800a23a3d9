// What one step computed, for another program to compare itself with: segbench --write-step FILE.
#include <cstring>

#include "app/bench_step.hpp"
#include "pixelwise/io/safetensors.hpp"
#include "pixelwise/train/weights.hpp"

namespace pixelwise {
namespace {

TensorToWrite plain_tensor(const std::string& name, FileType type, std::vector<int64_t> shape, const View& view) {
  const auto* bytes = static_cast<const std::byte*>(view.data);
  const int64_t count = view.shape.count() * size_of(view.type);
  return {name, type, std::move(shape), [bytes, count](const Sink& sink) {
            sink({bytes, static_cast<size_t>(count)});
          }};
}

TensorToWrite map_tensor(const std::string& name, const View& view) {
  const FileType type = view.type == Type::u8 ? FileType::u8 : FileType::f32;
  return plain_tensor(name, type, {view.shape.n, view.shape.h, view.shape.w, view.shape.c}, view);
}

// A parameter, with other values of the same shape.
Parameter like(const Parameter& parameter, const View& values) {
  Parameter copy;
  copy.name = parameter.name, copy.type = parameter.type, copy.shape = parameter.shape, copy.layout = parameter.layout;
  copy.memory = Memory(parameter.memory.bytes());
  std::memcpy(copy.memory.data(), values.data, static_cast<size_t>(values.shape.count() * size_of(values.type)));
  return copy;
}

}  // namespace

void write_step(const std::string& path, Executor& executor, const Parameters& parameters) {
  const Graph& graph = executor.graph();
  std::vector<TensorToWrite> tensors;
  const std::vector<const Parameter*> all = parameters.all();
  std::vector<Parameter> copies;
  copies.reserve(2 * all.size());
  for (const Parameter* parameter : all) {  // before the step: batch norm moves its running statistics
    copies.push_back(like(*parameter, parameter->view()));
    tensors.push_back(tensor_to_write(copies.back(), parameter->name));
  }
  executor.run();
  for (const char* name : {"image", "labels", "prediction"}) {
    if (graph.find(name) != no_value) tensors.push_back(map_tensor(name, executor.view(name)));
  }
  if (graph.find("loss") != no_value) tensors.push_back(plain_tensor("loss", FileType::f32, {}, executor.view("loss")));
  for (const Value& value : graph.values) {
    if (value.storage != Storage::parameter || value.frozen || value.gradient == no_value) continue;
    copies.push_back(like(*parameters.find(value.name), executor.view(value.gradient)));
    tensors.push_back(tensor_to_write(copies.back(), "gradient." + value.name));
  }
  write_safetensors(path, std::move(tensors), {});
}

}  // namespace pixelwise
