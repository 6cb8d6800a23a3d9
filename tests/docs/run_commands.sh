#!/usr/bin/env bash
# run_commands.sh DOCUMENT...: runs every command of the ```sh blocks of the documents, in order, in a scratch copy of
# the tree, and fails at the first that fails. Trainings are cut to two steps on eight samples (quickstart.sh runs
# whole, and has to have learned), and start without the weights of ImageNet; segeval of --weights looks at eight samples.
# Blocks marked ```sh data
# need PIXELWISE_TEST_DATA (a folder with VOCdevkit and CamVid) and are skipped without it; data/get_weights.sh takes
# weights from its folder `weights` and needs PIXELWISE_PYTHON (tools/convert). Other downloads have a test of their own;
# test.sh, which calls this, is not called again; nor are comparisons with others (tools/compare) made. Needs build/release.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tree=$scratch/pixelwise
mkdir -p "$tree/build/release/bin"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree")
for tool in "$root"/build/release/bin/seg*; do
  name=$(basename "$tool")
  short=""
  [[ $name == segtrain ]] &&
    short='[[ " $* " == *" --config "* && $SHORT ]] && set -- "$@" --set train.max_steps=2 --set data.first=8'
  [[ $name == segeval ]] && short='[[ " $* " == *" --weights "* && $SHORT ]] && set -- "$@" --set data.first=8'
  printf '#!/usr/bin/env bash\n%s\nexec "%s" "$@"\n' "$short" "$tool" >"$tree/build/release/bin/$name"
  chmod +x "$tree/build/release/bin/$name"
done
cp "$root/build/release/cmake_install.cmake" "$tree/build/release"  # for cmake --install
if [[ ${PIXELWISE_TEST_DATA:-} ]]; then
  for set in VOCdevkit CamVid; do ln -s "$PIXELWISE_TEST_DATA/$set" "$tree/data/$set"; done
  cp "$PIXELWISE_TEST_DATA/VOCdevkit/VOC2012/JPEGImages/2007_000129.jpg" "$tree/photo.jpg"  # persons on bicycles
fi

# Weights that are there (no other is fetched), and a Python that converts them.
export PYTHON=${PIXELWISE_PYTHON:-python3} WEIGHTS_URL
fetched=$(find "${PIXELWISE_TEST_DATA:-/nonexistent}/weights/" -name 'deeplabv3_257_mv_gpu.tflite' 2>/dev/null | head -1 || true)
"$PYTHON" -c 'import numpy, safetensors, tflite' 2>/dev/null || fetched=""
WEIGHTS_URL=file://$(dirname "$fetched")

# "kind<TAB>command" for every command; lines ending in \ are joined, comments dropped.
commands() {
  awk '/^```/ { inside = !inside && /^```sh/; kind = /data/ ? "data" : "plain"; next }
       inside && !/^ *(#|$)/ { line = line $0; if (sub(/\\$/, "", line)) next; print kind "\t" line; line = "" }' "$1"
}

# The quickstart's promise for held-out scenes: mean_iou_present of at least 0.80, and no class below 0.60.
learned() {
  awk '/^  "mean_iou_present": / { mean = $2 + 0 } /^  "iou": / { inside = 1; next } /^  \]/ { inside = 0 }
       inside { ++classes; if ($1 + 0 < 0.60) print "class " classes - 1 ": " (low = $1) }
       END { print "mean_iou_present " mean ", " classes " classes"; exit low != "" || mean < 0.80 || classes != 7 }' "$1"
}

count=0 skipped=0
for document in "$@"; do
  while IFS=$'\t' read -r kind command; do
    case $command in
      git\ clone*|cd\ *|tools/test.sh*|tools/compare/*|.ci/run*|docker*|data/get_voc.sh*) skipped=$((skipped + 1)); continue ;;
    esac
    if [[ $kind == data && -z ${PIXELWISE_TEST_DATA:-} ]]; then skipped=$((skipped + 1)); continue; fi
    [[ $command == *segtrain* ]] && command=$(sed 's| --weights data/weights/[^ ]*||' <<<"$command")
    case $command in
      *deeplabv3_mobilenetv2_voc*) [[ $fetched ]] || { skipped=$((skipped + 1)); continue; } ;;
      data/get_weights.sh*) skipped=$((skipped + 1)); continue ;;
    esac
    short=1
    if [[ $command == tools/quickstart.sh* ]]; then command="tools/quickstart.sh --no-install" short=""; fi
    echo "== $document: $command"
    if [[ $command == tools/quickstart.sh* ]]; then
      (cd "$tree" && sed -i '/^tools\/build.sh/d' tools/quickstart.sh)
    fi
    (cd "$tree" && SHORT=$short bash -euo pipefail -c "$command") </dev/null >"$scratch/log" 2>&1 ||
      { tail -30 "$scratch/log"; echo "FAILED: $document: $command"; exit 1; }
    if [[ ! $short ]]; then learned "$tree/runs/quickstart/eval.json" || { echo "FAILED: too little learned"; exit 1; }; fi
    count=$((count + 1))
  done < <(commands "$root/$document")
done
echo "$count commands passed, $skipped not run"
