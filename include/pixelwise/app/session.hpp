// The library for an engineer: load weights, give pixels, get labels.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pixelwise {

/// A trained model and its memory. One thread at a time may call run; the kernels use all cores by themselves.
class Session {
 public:
  /// weights.safetensors or best.safetensors of a run; nothing else is needed. Throws DataError.
  explicit Session(const std::string& weights_path);
  ~Session();
  Session(Session&&) noexcept;

  int64_t channels() const;  ///< of the pixels that run takes: 3 (R, G, B) or 1
  const std::vector<std::string>& class_names() const;

  /// Class ids of a photo, height x width, valid until the next call. `pixels`: 8 bits a channel, channels interleaved,
  /// rows from top to bottom, `row_stride` bytes apart. The first photo of a size is planned (milliseconds); the next
  /// ones allocate nothing, while the size is among the last four and no larger one is planned. Throws UsageError.
  std::span<const uint8_t> run(const uint8_t* pixels, int64_t height, int64_t width, int64_t row_stride);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pixelwise
