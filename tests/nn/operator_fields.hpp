// The fields of every specification, as text: a test demands that the tables of cases vary each of them. The structured
// bindings name all fields, so that a new one does not compile until it is listed here.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/format.hpp"
#include "pixelwise/core/operators.hpp"

namespace pixelwise {

using FieldTexts = std::vector<std::pair<std::string, std::string>>;

inline std::string text_of(const Size& size) { return to_string(size); }
inline std::string text_of(double value) { return format("{}", value); }
template <class T>
std::string text_of(T value) {
  return format("{}", static_cast<int64_t>(value));
}

inline FieldTexts fields_of(const Conv2dSpec& s) {
  const auto& [out_channels, kernel, stride, pad, dilation, groups, bias] = s;
  return {{"out_channels", text_of(out_channels)},
          {"kernel", text_of(kernel)},
          {"stride", text_of(stride)},
          {"pad", text_of(pad)},
          {"dilation", text_of(dilation)},
          {"groups", text_of(groups)},
          {"bias", text_of(bias)}};
}
inline FieldTexts fields_of(const ConvTranspose2dSpec& s) {
  const auto& [out_channels, kernel, stride, pad, output_pad, dilation, groups, bias] = s;
  return {{"out_channels", text_of(out_channels)},
          {"kernel", text_of(kernel)},
          {"stride", text_of(stride)},
          {"pad", text_of(pad)},
          {"output_pad", text_of(output_pad)},
          {"dilation", text_of(dilation)},
          {"groups", text_of(groups)},
          {"bias", text_of(bias)}};
}
inline FieldTexts fields_of(const MaxPool2dSpec& s) {
  const auto& [kernel, stride, pad, ceil] = s;
  return {{"kernel", text_of(kernel)}, {"stride", text_of(stride)}, {"pad", text_of(pad)}, {"ceil", text_of(ceil)}};
}
inline FieldTexts fields_of(const MaxUnpool2dSpec& s) {
  const auto& [kernel, stride, pad, size] = s;
  return {{"kernel", text_of(kernel)}, {"stride", text_of(stride)}, {"pad", text_of(pad)}, {"size", text_of(size)}};
}
inline FieldTexts fields_of(const AvgPool2dSpec& s) {
  const auto& [kernel, stride, pad, ceil, count_include_pad] = s;
  return {{"kernel", text_of(kernel)},
          {"stride", text_of(stride)},
          {"pad", text_of(pad)},
          {"ceil", text_of(ceil)},
          {"count_include_pad", text_of(count_include_pad)}};
}
inline FieldTexts fields_of(const BatchNormSpec& s) {
  const auto& [eps, momentum, phase] = s;
  return {{"eps", text_of(eps)}, {"momentum", text_of(momentum)}, {"phase", text_of(phase)}};
}
inline FieldTexts fields_of(const ActivationSpec& s) {
  const auto& [function] = s;
  return {{"function", text_of(function)}};
}
inline FieldTexts fields_of(const DropoutSpec& s) {
  const auto& [p, channels, phase] = s;
  return {{"p", text_of(p)}, {"channels", text_of(channels)}, {"phase", text_of(phase)}};
}
inline FieldTexts fields_of(const CropSpec& s) {
  const auto& [top, left, size] = s;
  return {{"top", text_of(top)}, {"left", text_of(left)}, {"size", text_of(size)}};
}
inline FieldTexts fields_of(const PadSpec& s) {
  const auto& [top, bottom, left, right, value] = s;
  return {{"top", text_of(top)},
          {"bottom", text_of(bottom)},
          {"left", text_of(left)},
          {"right", text_of(right)},
          {"value", text_of(value)}};
}
inline FieldTexts fields_of(const CastSpec& s) {
  const auto& [type] = s;
  return {{"type", text_of(type)}};
}
inline FieldTexts fields_of(const ResizeSpec& s) {
  const auto& [size, interpolation, align_corners] = s;
  return {
      {"size", text_of(size)}, {"interpolation", text_of(interpolation)}, {"align_corners", text_of(align_corners)}};
}
inline FieldTexts fields_of(const OneHotSpec& s) {
  const auto& [classes, ignore_label, type] = s;
  return {{"classes", text_of(classes)}, {"ignore_label", text_of(ignore_label)}, {"type", text_of(type)}};
}
inline FieldTexts fields_of(const SoftmaxCrossEntropySpec& s) {
  const auto& [normalize, label_smoothing, ignore_label, class_weights, shared_denominator, resize] = s;
  return {{"normalize", text_of(normalize)},
          {"label_smoothing", text_of(label_smoothing)},
          {"ignore_label", text_of(ignore_label)},
          {"class_weights", text_of(class_weights)},
          {"shared_denominator", text_of(shared_denominator)},
          {"resize.size", text_of(resize.size)},
          {"resize.interpolation", text_of(resize.interpolation)},
          {"resize.align_corners", text_of(resize.align_corners)}};
}
inline FieldTexts fields_of(const WeightedSumSpec& s) {
  const auto& [factor] = s;
  return {{"factor 0", text_of(factor[0])},
          {"factor 1", text_of(factor[1])},
          {"factor 2", text_of(factor[2])},
          {"factor 3", text_of(factor[3])}};
}
// Without fields.
template <class Spec>
requires std::is_empty_v<Spec> FieldTexts fields_of(const Spec&) { return {}; }

inline FieldTexts fields_of(const OpSpec& spec) {
  return std::visit([](const auto& s) { return fields_of(s); }, spec);
}

}  // namespace pixelwise
