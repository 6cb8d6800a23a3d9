#include "nn/operator_cases/tables.hpp"

namespace pixelwise {

OperatorCases batch_norm_cases() {
  const auto training = Phase::training, inference = Phase::inference;
  return {
      {"training", {BatchNormSpec{1e-5, 0.1, training}}, {map(2, 7, 5, 19)}},
      {"training relu", {BatchNormSpec{1e-5, 0.1, training}}, {map(2, 6, 5, 16)}, Activation::relu},
      {"training relu6", {BatchNormSpec{1e-3, 0.03, training}}, {map(3, 4, 4, 8)}, Activation::relu6},
      {"training one channel", {BatchNormSpec{1e-5, 0.1, training}}, {map(1, 3, 3, 1)}},
      {"inference", {BatchNormSpec{1e-5, 0.1, inference}}, {map(2, 7, 5, 19)}},
      {"inference relu", {BatchNormSpec{1e-3, 0.1, inference}}, {map(1, 6, 5, 16)}, Activation::relu},
      {"64 180x240", {BatchNormSpec{1e-5, 0.1, training}}, {map(2, 180, 240, 64)}, Activation::relu, true},
  };
}

OperatorCases activation_cases() {
  return {
      {"relu", {ActivationSpec{Activation::relu}}, {map(2, 5, 7, 19)}},
      {"relu6", {ActivationSpec{Activation::relu6}}, {map(1, 5, 7, 16)}},
      {"one element", {ActivationSpec{Activation::relu}}, {map(1, 1, 1, 1)}},
      {"relu 64 360x480", {ActivationSpec{Activation::relu}}, {map(1, 360, 480, 64)}, Activation::none, true},
  };
}

OperatorCases dropout_cases() {
  return {
      {"half", {DropoutSpec{0.5, false, Phase::training}}, {map(2, 5, 7, 19)}},
      {"maps", {DropoutSpec{0.3, true, Phase::training}}, {map(2, 5, 7, 19)}},
      {"inference", {DropoutSpec{0.5, false, Phase::inference}}, {map(1, 4, 4, 16)}},
      {"fc6 4096", {DropoutSpec{0.5, false, Phase::training}}, {map(1, 12, 15, 4096)}, Activation::none, true},
  };
}

OperatorCases add_cases() {
  return {
      {"two", {AddSpec{}}, {map(2, 5, 7, 19), map(2, 5, 7, 19)}},
      {"three", {AddSpec{}}, {map(1, 3, 4, 16), map(1, 3, 4, 16), map(1, 3, 4, 16)}},
      {"two relu", {AddSpec{}}, {map(1, 5, 6, 21), map(1, 5, 6, 21)}, Activation::relu},
      {"two 256", {AddSpec{}}, {map(1, 90, 120, 256), map(1, 90, 120, 256)}, Activation::relu, true},
  };
}

OperatorCases concat_cases() {
  return {
      {"two", {ConcatSpec{}}, {map(2, 5, 7, 19), map(2, 5, 7, 3)}},
      {"three", {ConcatSpec{}}, {map(1, 3, 4, 16), map(1, 3, 4, 1), map(1, 3, 4, 32)}},
      {"one", {ConcatSpec{}}, {map(1, 3, 4, 5)}},
      {"ASPP 5 x 256", {ConcatSpec{}}, std::vector<TensorDesc>(5, map(1, 33, 33, 256)), Activation::none, true},
  };
}

OperatorCases crop_cases() {
  return {
      {"inside", {CropSpec{2, 1, {3, 5}}}, {map(2, 7, 9, 19)}},
      {"all", {CropSpec{0, 0, {4, 4}}}, {map(1, 4, 4, 16)}},
      {"last pixel", {CropSpec{6, 8, {1, 1}}}, {map(1, 7, 9, 3)}},
      {"FCN offset 19", {CropSpec{19, 19, {320, 320}}}, {map(1, 360, 360, 21)}, Activation::none, true},
  };
}

OperatorCases pad_cases() {
  return {
      {"all sides", {PadSpec{1, 2, 3, 4}}, {map(2, 4, 3, 19)}},
      {"one side", {PadSpec{0, 0, 0, 5}}, {map(1, 4, 4, 16)}},
      {"a value", {PadSpec{2, 0, 1, 0, -1.5}}, {map(1, 3, 5, 3)}},
      {"FCN pad 100", {PadSpec{100, 100, 100, 100}}, {map(1, 320, 320, 3)}, Activation::none, true},
  };
}

OperatorCases cast_cases() {
  return {
      {"to bf16", {CastSpec{Type::bf16}}, {map(2, 3, 5, 19)}},
      {"from bf16", {CastSpec{Type::f32}}, {{Type::bf16, {1, 4, 4, 16}}}},
      {"bytes", {CastSpec{Type::f32}}, {bytes(1, 5, 4, 3)}},
      {"a copy", {CastSpec{Type::f32}}, {map(1, 4, 5, 7)}},
      {"to doubles", {CastSpec{Type::f64}}, {map(2, 3, 4, 9)}},
      {"to bf16 64 360x480", {CastSpec{Type::bf16}}, {map(1, 360, 480, 64)}, Activation::none, true},
  };
}

OperatorCases weighted_sum_cases() {
  const TensorDesc one = map(1, 1, 1, 1);
  return {
      {"loss and auxiliary loss", {WeightedSumSpec{{1, 0.5}}}, {one, one}},
      {"four", {WeightedSumSpec{{0.5, -2, 3, 0.25}}}, {one, one, one, one}},
  };
}

}  // namespace pixelwise
