#!/usr/bin/env bash
# examples_test.sh SOURCE BUILD [CXX]: installs the build tree into a scratch prefix, builds examples/ against it with
# find_package(pixelwise) as a user would, and runs them with the weights of a training of two steps.
set -euo pipefail
source=$1 build=$2 compiler=${3:-c++}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
quietly() { "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "$*"; }; }

quietly cmake --install "$build" --prefix "$scratch/prefix"
quietly cmake -S "$source/examples" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror"
quietly cmake --build "$scratch/build" -j 2
cd "$scratch"
cat >tiny.json <<'END'
{ "model": { "name": "tiny_fcn", "classes": 7 }, "augment": { "crop": [64, 64] }, "train": { "max_steps": 2 },
  "data": { "format": "shapes", "train": "16", "val": "4", "size": [64, 64], "class_names": "shapes" } }
END
quietly prefix/bin/segtrain --config tiny.json --run run

# A session labels a photo as segpredict does. The photo: the pictures of the validation.
photo=run/previews/step-2.png
build/segment_photo run/weights.safetensors "$photo" mask.png >counts || fail segment_photo
quietly prefix/bin/segpredict "$photo" --weights run/weights.safetensors --out predicted
cmp mask.png predicted/step-2.png || fail "segment_photo and segpredict differ"
[[ $(wc -l <counts) == 7 ]] && grep -qE '^background +[0-9]+ pixels$' counts || { cat counts; fail "no line for each class"; }
build/segment_photo run/config.json "$photo" mask.png 2>error && fail "a file without weights was taken"
grep -q 'segment_photo: .*config.json' error || { cat error; fail "the error does not name the file"; }

# quoted LESSON PROGRAM: the lesson quotes every paragraph that its program prints.
quoted() {
  "build/$2" >printed || fail "$2"
  while IFS= read -r -d '' paragraph; do
    [[ $(<"$source/docs/$1") == *"$paragraph"* ]] || fail "$1 does not quote: $paragraph"
  done < <(awk 'BEGIN { RS = ""; ORS = "\0" } 1' printed)
}
quoted 1-dense-prediction.md dense_prediction
quietly build/dense_prediction run/weights.safetensors pictures
grep -q '^pixels that count: 8214, right: ' log || fail "no loss of the scene"
[[ -s pictures/truth.png && -s pictures/scores.png ]] || fail "no pictures"

quoted 2-decoders.md decoders
quietly build/decoders run/weights.safetensors run/weights.safetensors pictures/decoders.png
[[ $(grep -cE '^tiny_fcn: [0-9]+ pixels wrong$' log) == 2 && -s pictures/decoders.png ]] || fail "no picture of the networks"
