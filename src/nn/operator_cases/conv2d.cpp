#include "nn/operator_cases/tables.hpp"

namespace pixelwise {

OperatorCases conv2d_cases() {
  const auto relu = Activation::relu;
  OperatorCases cases{
      {"3x3", {Conv2dSpec{6, {3, 3}, {1, 1}, {1, 1}}}, {map(2, 9, 7, 5)}},
      {"3x3 wide", {Conv2dSpec{21, {3, 3}, {1, 1}, {1, 1}}}, {map(1, 13, 18, 17)}, relu},
      {"3x3 whole vectors", {Conv2dSpec{32, {3, 3}, {1, 1}, {1, 1}}}, {map(1, 12, 16, 16)}},
      {"3x3 no bias", {Conv2dSpec{16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false}}, {map(2, 7, 9, 16)}},
      {"1x1", {Conv2dSpec{21, {1, 1}}}, {map(2, 5, 7, 19)}, relu},
      {"1x1, one pixel", {Conv2dSpec{21, {1, 1}}}, {map(1, 1, 1, 19)}},
      {"1x1 stride 2", {Conv2dSpec{16, {1, 1}, {2, 2}, {0, 0}, {1, 1}, 1, false}}, {map(1, 9, 8, 16)}},
      {"one channel", {Conv2dSpec{1, {3, 3}, {1, 1}, {1, 1}}}, {map(1, 6, 5, 1)}},
      {"one pixel", {Conv2dSpec{8, {3, 3}, {1, 1}, {1, 1}}}, {map(1, 1, 1, 8)}},
      {"three channels", {Conv2dSpec{16, {3, 3}, {1, 1}, {1, 1}}}, {map(1, 11, 14, 3)}, relu},
      {"7x7 stride 2", {Conv2dSpec{8, {7, 7}, {2, 2}, {3, 3}, {1, 1}, 1, false}}, {map(2, 17, 15, 3)}},
      {"3x3 stride 2", {Conv2dSpec{9, {3, 3}, {2, 2}, {1, 1}}}, {map(1, 10, 11, 8)}},
      {"published padding", {Conv2dSpec{4, {3, 3}, {1, 1}, {9, 9}}}, {map(1, 6, 5, 3)}},
      {"fc6", {Conv2dSpec{12, {7, 7}}}, {map(1, 9, 8, 16)}, relu},
      {"not square", {Conv2dSpec{7, {3, 5}, {2, 1}, {1, 3}, {2, 1}}}, {map(2, 11, 9, 6)}},
      {"tall", {Conv2dSpec{5, {5, 1}, {1, 3}, {2, 0}, {1, 2}}}, {map(1, 8, 13, 4)}, Activation::relu6},
      {"atrous 2", {Conv2dSpec{8, {3, 3}, {1, 1}, {2, 2}, {2, 2}}}, {map(2, 11, 9, 16)}, relu},
      {"atrous 3 by 4", {Conv2dSpec{16, {3, 3}, {1, 1}, {3, 4}, {3, 4}}}, {map(1, 13, 14, 8)}},
      {"atrous 12, larger than the map", {Conv2dSpec{8, {3, 3}, {1, 1}, {12, 12}, {12, 12}}}, {map(1, 9, 9, 8)}},
      {"atrous, stride 2", {Conv2dSpec{6, {3, 3}, {2, 2}, {2, 2}, {2, 2}}}, {map(1, 12, 11, 7)}},
      {"groups", {Conv2dSpec{12, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 3}}, {map(2, 7, 8, 6)}},
      {"depthwise", {Conv2dSpec{19, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 19, false}}, {map(2, 9, 8, 19)}},
      {"depthwise stride 2", {Conv2dSpec{16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 16}}, {map(1, 10, 9, 16)}, relu},
      {"depthwise, blocks of pixels", {Conv2dSpec{36, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 36}}, {map(1, 14, 15, 36)}, relu},
      {"depthwise atrous", {Conv2dSpec{8, {3, 3}, {1, 1}, {2, 2}, {2, 2}, 8, false}}, {map(1, 9, 9, 8)}},
      {"depthwise 7x5", {Conv2dSpec{21, {7, 5}, {1, 1}, {3, 2}, {1, 1}, 21}}, {map(1, 9, 8, 21)}, relu},
      {"depthwise not square", {Conv2dSpec{36, {2, 3}, {3, 1}, {0, 3}, {1, 3}, 36, false}}, {map(2, 11, 10, 36)}},
      {"depthwise multiplier", {Conv2dSpec{8, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 4}}, {map(1, 6, 7, 4)}},
  };
  const auto bench = [&](const std::string& name, const Conv2dSpec& spec, const TensorDesc& x) {
    cases.push_back({name, spec, {x}, Activation::none, true});
  };
  // VGG-16 on 480x360 (CamVid's size): a stage halves the map and doubles the channels.
  bench("first 3->64 360x480", {64, {3, 3}, {1, 1}, {1, 1}}, map(1, 360, 480, 3));
  for (const int64_t stage : {1, 2, 4, 8}) {
    const int64_t channels = 64 * stage, h = 360 / stage, w = 480 / stage;
    const std::string size = std::to_string(channels) + " " + std::to_string(h) + "x" + std::to_string(w);
    bench("3x3 " + size, {channels, {3, 3}, {1, 1}, {1, 1}}, map(1, h, w, channels));
    bench("1x1 " + size, {channels, {1, 1}}, map(1, h, w, channels));
  }
  for (const int64_t rate : {2, 6, 12, 24})
    bench("3x3 256 rate " + std::to_string(rate), {256, {3, 3}, {1, 1}, {rate, rate}, {rate, rate}},
          map(1, 45, 60, 256));
  bench("fc6 7x7 512->1024", {1024, {7, 7}, {1, 1}, {3, 3}}, map(1, 11, 15, 512));
  const auto depthwise = [&](const std::string& name, Size kernel, int64_t stride, int64_t rate, const TensorDesc& x) {
    const Size pad{kernel.h / 2 * rate, kernel.w / 2 * rate};
    const int64_t c = x.shape.c;
    bench("depthwise " + name, {c, kernel, {stride, stride}, pad, {rate, rate}, c, false}, x);
  };
  // MobileNetV2 on a batch of four (CamVid's size), the decoder of DeepLab v3+ with separable convolutions, others.
  depthwise("32 160x208", {3, 3}, 1, 1, map(4, 160, 208, 32));
  depthwise("96 s2 160x208", {3, 3}, 2, 1, map(4, 160, 208, 96));
  depthwise("144 80x104", {3, 3}, 1, 1, map(4, 80, 104, 144));
  depthwise("384 20x26", {3, 3}, 1, 1, map(4, 20, 26, 384));
  depthwise("960 20x26 rate 2", {3, 3}, 1, 2, map(4, 20, 26, 960));
  depthwise("256 80x104", {3, 3}, 1, 1, map(4, 80, 104, 256));
  depthwise("256 90x120", {3, 3}, 1, 1, map(1, 90, 120, 256));
  depthwise("7x7 96 56x56", {7, 7}, 1, 1, map(4, 56, 56, 96));
  return cases;
}

OperatorCases conv_transpose2d_cases() {
  OperatorCases cases{
      {"twice", {ConvTranspose2dSpec{5, {4, 4}, {2, 2}, {1, 1}}}, {map(2, 5, 6, 5)}},
      {"twice, no bias",
       {ConvTranspose2dSpec{21, {4, 4}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 1, false}},
       {map(1, 4, 3, 21)}},
      {"8 times", {ConvTranspose2dSpec{3, {16, 16}, {8, 8}, {4, 4}}}, {map(1, 3, 4, 3)}},
      {"output pad", {ConvTranspose2dSpec{6, {3, 3}, {2, 2}, {1, 1}, {1, 1}}}, {map(2, 4, 5, 8)}},
      {"output pad below", {ConvTranspose2dSpec{6, {3, 3}, {3, 2}, {1, 1}, {2, 0}}}, {map(1, 4, 5, 3)}},
      {"stride 1", {ConvTranspose2dSpec{8, {3, 3}, {1, 1}, {1, 1}}}, {map(1, 6, 5, 16)}, Activation::relu},
      {"not square", {ConvTranspose2dSpec{4, {2, 5}, {2, 3}, {0, 1}, {0, 0}, {1, 2}}}, {map(1, 5, 4, 7)}},
      {"atrous", {ConvTranspose2dSpec{4, {3, 3}, {2, 2}, {1, 2}, {1, 0}, {2, 2}}}, {map(1, 5, 4, 6)}},
      {"groups", {ConvTranspose2dSpec{6, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 2}}, {map(1, 4, 5, 4)}},
      {"depthwise", {ConvTranspose2dSpec{11, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 11, false}}, {map(2, 5, 4, 11)}},
      {"one pixel", {ConvTranspose2dSpec{2, {2, 2}, {2, 2}}}, {map(1, 1, 1, 2)}},
  };
  const auto bench = [&](const std::string& name, const ConvTranspose2dSpec& spec, const TensorDesc& x) {
    cases.push_back({name, spec, {x}, Activation::none, true});
  };
  bench("FCN-32s 32 times 21", {21, {64, 64}, {32, 32}, {16, 16}, {0, 0}, {1, 1}, 1, false}, map(1, 12, 15, 21));
  bench("FCN-8s 8 times 21", {21, {16, 16}, {8, 8}, {4, 4}, {0, 0}, {1, 1}, 1, false}, map(1, 45, 60, 21));
  bench("FCN-8s twice 21", {21, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 1, false}, map(1, 23, 30, 21));
  return cases;
}

}  // namespace pixelwise
