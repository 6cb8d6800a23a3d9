#!/usr/bin/env bash
# get_weights.sh NAME: fetches weights that others published into data/weights, resuming where a download was cut off,
# checks size and checksum, and converts them to data/weights/NAME.safetensors. Without NAME: lists them.
# WEIGHTS_URL (in place of the address up to the file's name), WEIGHTS_SHA256 and WEIGHTS_DIR override where from, what,
# and where to; PYTHON is the Python that converts (tools/convert).
set -euo pipefail

pytorch=https://download.pytorch.org/models
# name, address, MiB, sha256 (or its beginning: torchvision's file names carry it)
table="\
vgg16                $pytorch/vgg16-397923af.pth                       528 397923af
vgg16_bn             $pytorch/vgg16_bn-6c64b313.pth                    528 6c64b313
resnet50             $pytorch/resnet50-0676ba61.pth                     98 0676ba61
mobilenet_v2         $pytorch/mobilenet_v2-b0353104.pth                 14 b0353104
fcn_resnet50         $pytorch/fcn_resnet50_coco-1167a1af.pth           135 1167a1af
fcn_resnet101        $pytorch/fcn_resnet101_coco-7ecb50ca.pth          208 7ecb50ca
deeplabv3_resnet50   $pytorch/deeplabv3_resnet50_coco-cd0a2569.pth     161 cd0a2569
deeplabv3_resnet101  $pytorch/deeplabv3_resnet101_coco-586e9e4e.pth    234 586e9e4e
deeplabv3_mobilenetv2_voc  https://storage.googleapis.com/download.tensorflow.org/models/tflite/gpu/deeplabv3_257_mv_gpu.tflite  3 \
68a539782c2c6a72f8aac3724600124a85ed977162b44e84cbae5db717c933c6"
# The licences: torchvision's authors say that weights may have terms of their own, from the data they were trained on
# (ImageNet, COCO: research).
torchvision="torchvision (BSD 3-clause); the training data's terms may apply to the weights"
google="Google (Apache-2.0)"

fail() { echo "get_weights: $2" >&2; exit "$1"; }
[[ $# -le 1 ]] || fail 2 "usage: data/get_weights.sh [NAME]"
if [[ $# == 0 ]]; then
  awk '{ printf "%-26s %4d MiB  %s\n", $1, $3, $2 }' <<<"$table"
  printf '\nlicences: %s; .tflite: %s\n' "$torchvision" "$google"
  exit
fi
row=$(awk -v name="$1" '$1 == name' <<<"$table")
[[ $row ]] || fail 2 "there are no weights '$1'; there are $(awk '{ printf "%s%s", sep, $1; sep = ", " }' <<<"$table")"
read -r name url mebibytes sha256 <<<"$row"
[[ ${WEIGHTS_URL:-} ]] && url=$WEIGHTS_URL/$(basename "$url")
sha256=${WEIGHTS_SHA256:-$sha256}
here=$(cd "$(dirname "$0")" && pwd)
folder=${WEIGHTS_DIR:-$here/weights}
file=$folder/$(basename "$url")
target=$folder/$name.safetensors
licence=$torchvision
convert=$here/../tools/convert/torchvision_to_safetensors.py
if [[ $file == *.tflite ]]; then
  licence=$google
  convert=$here/../tools/convert/tflite_deeplab.py
fi

mkdir -p "$folder"
free=$(($(df --output=avail -k "$folder" | tail -1) / 1024))
((free > 2 * mebibytes)) || fail 4 "$folder has $free MiB free, $((2 * mebibytes)) are needed"
good() { [[ -f $file ]] && sha256sum "$file" | grep -q "^$sha256"; }
if ! good; then
  echo "get_weights: fetching $url ($mebibytes MiB); licence: $licence" >&2
  if command -v curl >/dev/null; then
    curl --fail --location --continue-at - --output "$file" "$url" || true
  else
    wget --continue --output-document "$file" "$url" || true
  fi
fi
[[ -s $file ]] || fail 3 "$url could not be fetched"
good || fail 3 "$file has the checksum $(sha256sum "$file" | cut -d' ' -f1); wanted $sha256: run this again to go on with \
a download that was cut off, or remove the file"
"${PYTHON:-python3}" "$convert" "$file" "$target" || fail 3 "$file could not be converted"
echo "get_weights: done: $target" >&2
