#include "pixelwise/app/session.hpp"

#include "core/format.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"

namespace pixelwise {

struct Session::Impl {
  TrainedModel model;
  ExecutorCache executors;

  explicit Impl(const std::string& path) : model(path), executors(model.maker()) {}

  void write(const uint8_t* pixels, int64_t row_stride, const View& input) const {
    const Normalize& normalize = model.config().model.normalize;
    const Shape& shape = input.shape;
    for (int64_t y = 0; y < shape.h; ++y) {
      const uint8_t* row = pixels + y * row_stride;
      for (int64_t x = 0; x < shape.w; ++x) {
        float* to = input.at<float>(0, y, x);
        for (int64_t c = 0; c < shape.c; ++c) {
          const auto channel = static_cast<size_t>(c);
          to[c] = static_cast<float>((row[x * shape.c + c] - normalize.mean[channel]) / normalize.std[channel]);
        }
      }
    }
  }
};

Session::Session(const std::string& weights_path) : impl_(std::make_unique<Impl>(weights_path)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

int64_t Session::channels() const { return impl_->model.config().model.in_channels; }
const std::vector<std::string>& Session::class_names() const { return impl_->model.class_names(); }

std::span<const uint8_t> Session::run(const uint8_t* pixels, int64_t height, int64_t width, int64_t row_stride) {
  if (height < 1 || width < 1 || row_stride < width * channels())
    throw UsageError(
        format("a photo of {}x{} pixels, {} channels, with rows {} bytes apart; wanted at least 1x1, and {}", height,
               width, channels(), row_stride, width * channels()));
  Executor& executor = impl_->executors.at({1, height, width, channels()});
  static const std::string image = "image", prediction = "prediction";
  impl_->write(pixels, row_stride, executor.view(image));
  executor.run();
  return {executor.view(prediction).as<uint8_t>(), static_cast<size_t>(height * width)};
}

}  // namespace pixelwise
