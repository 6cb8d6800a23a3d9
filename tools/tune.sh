#!/usr/bin/env bash
# tools/tune.sh [--batch N] [MODEL...]: measures which kernels serve the convolutions of the published models best on this
# machine's instruction set, and writes src/kernels/conv2d_table.cpp (docs/design.md, "Selection"). Half a minute for each
# model and photo of the batch; nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

batch=1
[[ ${1:-} == --batch ]] && batch=$2 && shift 2
declare -A sizes=([segnet]=360x480 [fcn8s_vgg16]=375x500)  # the others: 513x513, as their papers have it
models=("$@")
(($#)) || models=(segnet fcn8s_vgg16 deeplabv3plus_mobilenet_v2 deeplabv3plus_resnet50 deeplabv3_resnet50 fcn_resnet50)
tools/build.sh release segbench
for model in "${models[@]}"; do
  build/release/bin/segbench --tune src/kernels/conv2d_table.cpp --model "$model" --size "${sizes[$model]:-513x513}" \
    --batch "$batch" --runs 3
done
