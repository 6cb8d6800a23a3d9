#include "pixelwise/kernels/pooling.hpp"
#include "nn/operator_cases/tables.hpp"

namespace pixelwise {

OperatorCases max_pool2d_cases() {
  return {
      {"2x2", {MaxPool2dSpec{}}, {map(2, 8, 6, 19)}},
      {"2x2 odd", {MaxPool2dSpec{}}, {map(1, 9, 7, 16)}},
      {"2x2 ceil", {MaxPool2dSpec{{2, 2}, {2, 2}, {0, 0}, true}}, {map(1, 9, 7, 8)}},
      {"3x3 overlapping", {MaxPool2dSpec{{3, 3}, {2, 2}, {1, 1}}}, {map(2, 9, 10, 7)}},
      {"3x3 stride 1", {MaxPool2dSpec{{3, 3}, {1, 1}, {1, 1}}}, {map(1, 6, 7, 16)}},
      {"3x3 ceil", {MaxPool2dSpec{{3, 3}, {2, 2}, {0, 0}, true}}, {map(1, 8, 10, 3)}},
      {"not square", {MaxPool2dSpec{{2, 3}, {1, 2}, {0, 1}}}, {map(1, 7, 9, 21)}},
      {"one channel", {MaxPool2dSpec{}}, {map(1, 4, 4, 1)}},
      {"VGG pool1 64", {MaxPool2dSpec{}}, {map(1, 360, 480, 64)}, Activation::none, true},
      {"ResNet pool 64", {MaxPool2dSpec{{3, 3}, {2, 2}, {1, 1}}}, {map(1, 180, 240, 64)}, Activation::none, true},
  };
}

namespace {

// Unpooling of a map of `from` pixels and c channels that was pooled before.
OperatorCase unpool(const std::string& name, Size kernel, Size stride, Size pad, bool ceil, Size from, int64_t c,
                    bool bench = false) {
  const Size pooled = pool_size(kernel, stride, pad, ceil, from);
  return {name,
          MaxUnpool2dSpec{kernel, stride, pad, from},
          {map(2, pooled.h, pooled.w, c), bytes(2, pooled.h, pooled.w, c)},
          Activation::none,
          bench};
}

}  // namespace

OperatorCases max_unpool2d_cases() {
  return {
      unpool("2x2", {2, 2}, {2, 2}, {0, 0}, false, {8, 6}, 19),
      unpool("2x2 odd", {2, 2}, {2, 2}, {0, 0}, false, {9, 7}, 16),
      unpool("2x2 ceil", {2, 2}, {2, 2}, {0, 0}, true, {9, 7}, 3),
      unpool("3x3", {3, 3}, {3, 3}, {1, 1}, false, {10, 8}, 5),
      unpool("not square", {2, 3}, {2, 3}, {0, 1}, false, {6, 11}, 1),
      unpool("SegNet 64", {2, 2}, {2, 2}, {0, 0}, false, {360, 480}, 64, true),
  };
}

OperatorCases avg_pool2d_cases() {
  return {
      {"2x2", {AvgPool2dSpec{}}, {map(2, 8, 6, 19)}},
      {"3x3", {AvgPool2dSpec{{3, 3}, {2, 2}, {1, 1}}}, {map(1, 9, 10, 16)}},
      {"3x3 without padding", {AvgPool2dSpec{{3, 3}, {2, 2}, {1, 1}, false, false}}, {map(1, 9, 10, 7)}},
      {"ceil", {AvgPool2dSpec{{3, 3}, {2, 2}, {0, 0}, true}}, {map(1, 8, 10, 3)}},
      {"ceil without padding", {AvgPool2dSpec{{3, 3}, {2, 2}, {1, 1}, true, false}}, {map(2, 8, 8, 5)}},
      {"not square", {AvgPool2dSpec{{2, 3}, {1, 2}, {0, 1}}}, {map(1, 7, 9, 1)}},
      {"3x3 256", {AvgPool2dSpec{{3, 3}, {1, 1}, {1, 1}}}, {map(1, 45, 60, 256)}, Activation::none, true},
  };
}

OperatorCases global_avg_pool_cases() {
  return {
      {"odd", {GlobalAvgPoolSpec{}}, {map(2, 5, 7, 19)}},
      {"one pixel", {GlobalAvgPoolSpec{}}, {map(1, 1, 1, 8)}},
      {"one channel", {GlobalAvgPoolSpec{}}, {map(3, 4, 9, 1)}},
      {"DeepLab 2048", {GlobalAvgPoolSpec{}}, {map(2, 33, 33, 2048)}, Activation::none, true},
  };
}

}  // namespace pixelwise
