// A safetensors file, read as such, as weights of a model in every mode, as a checkpoint, and as the weights of a run.
#include "pixelwise/io/safetensors.hpp"

#include "fuzz/fuzz.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/train/checkpoint.hpp"
#include "pixelwise/train/weights.hpp"
#include "train/toy.hpp"

using namespace pixelwise;

namespace {

void read_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  for (const TensorInfo& tensor : file.tensors()) {
    require(file.find(tensor.name) != nullptr, "a tensor is found by its name");
    const auto count = static_cast<size_t>(tensor.count());
    require(file.read_f32(tensor).size() == count, "as many floats as the shape says");
    require(file.read_f64(tensor).size() == count, "as many doubles as the shape says");
    require(file.read_bytes(tensor).size() == static_cast<size_t>(tensor.bytes), "as many bytes as the offsets say");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static FileInMemory file;
  static Toy toy{ToyOptions{}};
  file.put({reinterpret_cast<const char*>(data), size});
  if (!accepted([] { read_tensors(file.path()); })) return 0;
  for (const LoadMode mode : {LoadMode::all, LoadMode::backbone, LoadMode::matching})
    accepted([&] { load_weights(file.path(), toy.parameters, mode); });
  accepted([] { read_checkpoint_info(file.path()); });
  accepted([] { load_checkpoint(file.path(), toy.parameters, *toy.optimizer); });
  accepted([] { TrainedModel{file.path()}; });
  return 0;
}
