#include "nn/operator_cases/tables.hpp"

namespace pixelwise {

OperatorCases resize_cases() {
  const auto bilinear = Interpolation::bilinear, nearest = Interpolation::nearest;
  return {
      {"twice", {ResizeSpec{{10, 14}, bilinear}}, {map(2, 5, 7, 19)}},
      {"odd factor", {ResizeSpec{{13, 9}, bilinear}}, {map(1, 5, 7, 16)}},
      {"smaller", {ResizeSpec{{3, 4}, bilinear}}, {map(1, 9, 7, 8)}},
      {"corners", {ResizeSpec{{13, 9}, bilinear, true}}, {map(2, 5, 7, 3)}},
      {"corners, one row", {ResizeSpec{{1, 9}, bilinear, true}}, {map(1, 5, 7, 1)}},
      {"from one pixel", {ResizeSpec{{6, 5}, bilinear}}, {map(2, 1, 1, 21)}},
      {"nearest", {ResizeSpec{{11, 8}, nearest}}, {map(1, 5, 7, 16)}},
      {"nearest smaller", {ResizeSpec{{3, 4}, nearest}}, {map(1, 9, 7, 5)}},
      {"8 times 21", {ResizeSpec{{360, 480}, bilinear}}, {map(1, 45, 60, 21)}, Activation::none, true},
  };
}

OperatorCases softmax_cases() {
  return {
      {"21 classes", {SoftmaxSpec{}}, {map(2, 5, 7, 21)}},
      {"two classes", {SoftmaxSpec{}}, {map(1, 4, 3, 2)}},
      {"one class", {SoftmaxSpec{}}, {map(1, 4, 3, 1)}},
      {"21 360x480", {SoftmaxSpec{}}, {map(1, 360, 480, 21)}, Activation::none, true},
  };
}

OperatorCases argmax_cases() {
  return {
      {"21 classes", {ArgmaxSpec{}}, {map(2, 5, 7, 21)}},
      {"one class", {ArgmaxSpec{}}, {map(1, 4, 3, 1)}},
      {"256 classes", {ArgmaxSpec{}}, {map(1, 2, 3, 256)}},
      {"21 360x480", {ArgmaxSpec{}}, {map(1, 360, 480, 21)}, Activation::none, true},
  };
}

OperatorCases one_hot_cases() {
  return {
      {"21 classes", {OneHotSpec{21}}, {bytes(2, 5, 7)}},
      {"void 0", {OneHotSpec{5, 0}}, {bytes(1, 4, 3)}},
      {"double", {OneHotSpec{3, 255, Type::f64}}, {bytes(1, 4, 3)}},
      {"21 360x480", {OneHotSpec{21}}, {bytes(1, 360, 480)}, Activation::none, true},
  };
}

OperatorCases softmax_cross_entropy_cases() {
  const auto mean = LossNormalization::mean, sum = LossNormalization::sum, batch = LossNormalization::batch;
  const auto bilinear = Interpolation::bilinear, nearest = Interpolation::nearest;
  const TensorDesc scores = map(2, 5, 7, 21), ids = bytes(2, 5, 7), one = map(1, 1, 1, 1);
  const TensorDesc large_ids = bytes(2, 17, 35), large_planes = map(2, 17, 35, 21);
  using Spec = SoftmaxCrossEntropySpec;
  return {
      {"ids", {Spec{}}, {scores, ids}},
      {"planes", {Spec{}}, {scores, scores}},
      {"sum", {Spec{sum}}, {scores, ids}},
      {"batch", {Spec{batch}}, {scores, scores}},
      {"smoothing", {Spec{mean, 0.1}}, {scores, ids}},
      {"smoothing planes", {Spec{batch, 0.2}}, {scores, scores}},
      {"void 3", {Spec{mean, 0, 3}}, {map(1, 4, 3, 5), bytes(1, 4, 3)}},
      {"class weights", {Spec{mean, 0, 255, true}}, {scores, ids}},
      {"class weights, smoothing, planes", {Spec{mean, 0.1, 255, true}}, {scores, scores}},
      {"shared denominator", {Spec{mean, 0, 255, false, true}}, {scores, ids, one}},
      {"resized", {Spec{mean, 0, 255, false, false, {{17, 35}}}}, {scores, large_ids}},
      {"resized planes, all options",
       {Spec{batch, 0.2, 255, true, false, {{17, 35}, bilinear, true}}},
       {scores, large_planes}},
      {"resized, nearest", {Spec{sum, 0.1, 3, false, false, {{11, 8}, nearest}}}, {map(1, 5, 7, 5), bytes(1, 11, 8)}},
      {"resized to less", {Spec{mean, 0, 255, true, true, {{3, 4}}}}, {map(1, 9, 7, 8), bytes(1, 3, 4), one}},
      {"resized from one pixel", {Spec{mean, 0, 255, false, false, {{6, 5}}}}, {map(2, 1, 1, 21), bytes(2, 6, 5)}},
      {"21 360x480", {Spec{}}, {map(1, 360, 480, 21), bytes(1, 360, 480)}, Activation::none, true},
      {"21 90x120 resized to 360x480",
       {Spec{mean, 0, 255, false, false, {{360, 480}}}},
       {map(1, 90, 120, 21), bytes(1, 360, 480)},
       Activation::none,
       true},
  };
}

}  // namespace pixelwise
