// safetensors (https://github.com/huggingface/safetensors, "Format"): u64 little-endian header length, JSON header,
// data. Weights and checkpoints are such files, in PyTorch's order of dimensions.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pixelwise/core/view.hpp"
#include "pixelwise/io/files.hpp"

namespace pixelwise {

/// Element types of files; the engine's own are converted from and to them.
enum class FileType : uint8_t { f64, f32, f16, bf16, i64, i32, u8 };

struct TensorInfo {
  std::string name;
  FileType type = FileType::f32;
  std::vector<int64_t> shape;    ///< {} is a scalar
  int64_t begin = 0, bytes = 0;  ///< in the data section
  int64_t count() const;
};

/// An open file: the header is read and checked (no holes, overlaps, duplicates, overflow) before anything else is
/// allocated; tensors are read when asked for.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);  ///< throws DataError naming file and tensor
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;

  const std::string& path() const;
  const std::map<std::string, std::string>& metadata() const;
  const std::vector<TensorInfo>& tensors() const;  ///< sorted by name
  const TensorInfo* find(const std::string& name) const;
  /// Reads all of it; throws DataError where metadata or tensors are not those that write_safetensors put its checksum
  /// of into the metadata. Files of other programs have none, and pass.
  void verify() const;
  /// The elements as float or double, converted, in the file's order.
  std::vector<float> read_f32(const TensorInfo& tensor) const;
  std::vector<double> read_f64(const TensorInfo& tensor) const;
  std::vector<std::byte> read_bytes(const TensorInfo& tensor) const;
  /// Elements [first, first + count), converted: a large tensor never has to be whole in memory a second time.
  void read(const TensorInfo& tensor, int64_t first, int64_t count, float* out) const;
  void read(const TensorInfo& tensor, int64_t first, int64_t count, double* out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A tensor to be written: `write` sends exactly its bytes, in pieces of any size, so that a permuted copy of a large
/// tensor never has to be whole in memory.
struct TensorToWrite {
  std::string name;
  FileType type = FileType::f32;
  std::vector<int64_t> shape;
  std::function<void(const Sink&)> write;
};
/// Atomically; tensors are sorted by name, the header is padded with spaces to 8 bytes. A checksum joins the metadata:
/// every tensor is written twice, first to it.
void write_safetensors(const std::string& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace pixelwise
