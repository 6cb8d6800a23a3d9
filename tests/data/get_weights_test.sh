#!/usr/bin/env bash
# data/get_weights.sh against a server of this machine with small files: fetches, resumes, checks, converts (by a stand-in
# for Python, which copies; the converters have tests of their own). Skipped (77) without curl and python3.
set -euo pipefail
command -v curl >/dev/null && command -v python3 >/dev/null || exit 77
script=$1/data/get_weights.sh
scratch=$(mktemp -d)
trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $1" >&2; cat "$scratch/log" >&2; exit 1; }

mkdir "$scratch/server" "$scratch/bin"
seq 60000 >"$scratch/server/mobilenet_v2-b0353104.pth"
seq 40000 >"$scratch/server/deeplabv3_257_mv_gpu.tflite"
printf '#!/bin/sh\nbasename "$1" >"$3.by"\ncp "$2" "$3"\n' >"$scratch/bin/python"
printf '#!/bin/sh\nprintf "Avail\\n1024\\n"\n' >"$scratch/bin/df"
chmod +x "$scratch/bin/python" "$scratch/bin/df"
python3 "$1/tests/data/server.py" "$scratch/server" "$scratch/port" 2>"$scratch/requests" & server=$!
for ((i = 0; i < 100; ++i)); do [[ -e $scratch/port ]] && break || sleep 0.1; done
export no_proxy=127.0.0.1 PYTHON=$scratch/bin/python
export WEIGHTS_URL=http://127.0.0.1:$(<"$scratch/port") WEIGHTS_SHA256 WEIGHTS_DIR
sum() { sha256sum "$scratch/server/$1" | cut -d' ' -f1; }

# get DIR NAME EXIT: runs the script.
get() {
  local code=0
  WEIGHTS_DIR=$scratch/$1 "$script" "$2" >"$scratch/log" 2>&1 || code=$?
  [[ $code == "$3" ]] || fail "$1 $2: exit $code, wanted $3"
}
pth=mobilenet_v2-b0353104.pth
WEIGHTS_SHA256=$(sum "$pth")
get whole mobilenet_v2 0
cmp "$scratch/server/$pth" "$scratch/whole/mobilenet_v2.safetensors" || fail "the content"
grep -q torchvision_to_safetensors.py "$scratch/whole/mobilenet_v2.safetensors.by" || fail "the converter"
grep -q "BSD" "$scratch/log" || fail "the licence"
get whole mobilenet_v2 0
! grep -q fetching "$scratch/log" || fail "what is there is fetched again"

mkdir "$scratch/half" && head -c 100000 "$scratch/server/$pth" >"$scratch/half/$pth"
get half mobilenet_v2 0
cmp "$scratch/server/$pth" "$scratch/half/mobilenet_v2.safetensors" || fail "resuming"
grep -q '" 206 ' "$scratch/requests" || fail "what was there is fetched again"

WEIGHTS_SHA256=${WEIGHTS_SHA256:0:8} get begin mobilenet_v2 0
WEIGHTS_SHA256=00000000 get wrong mobilenet_v2 3
grep -q "wanted 00000000" "$scratch/log" || fail "the message"
[[ ! -e $scratch/wrong/mobilenet_v2.safetensors ]] || fail "a damaged file is converted"
get nothing resnet50 3
grep -q "could not be fetched" "$scratch/log" || fail "the message"
[[ ! -e $scratch/nothing/resnet50-0676ba61.pth ]] || fail "the server's error is kept as weights"
get whole vgg17 2
grep -q "vgg16" "$scratch/log" || fail "the names"
PATH=$scratch/bin:$PATH get full resnet50 4

WEIGHTS_SHA256=$(sum deeplabv3_257_mv_gpu.tflite)
get lite deeplabv3_mobilenetv2_voc 0
grep -q tflite_deeplab.py "$scratch/lite/deeplabv3_mobilenetv2_voc.safetensors.by" || fail "the converter"

"$script" >"$scratch/log"
grep -q "^vgg16_bn  *528 MiB  https://" "$scratch/log" || fail "the list"
grep -q "licences: torchvision (BSD" "$scratch/log" || fail "the licences"
