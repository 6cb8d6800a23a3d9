#!/usr/bin/env bash
# Trains a small FCN-8s on the built-in shapes, evaluates it, and draws what it sees. Nothing is downloaded but the
# packages that are missing. --no-install: do not look for packages.
set -euo pipefail
cd "$(dirname "$0")/.."

install=true
for argument in "$@"; do
  case $argument in
    --no-install) install=false ;;
    *) echo "usage: tools/quickstart.sh [--no-install]" >&2; exit 2 ;;
  esac
done
$install && tools/setup.sh
tools/build.sh release segtrain segeval segpredict segportrait segdescribe segdoctor segbench

run=runs/quickstart
if [[ -e $run ]]; then
  n=1
  while [[ -e $run.$n ]]; do n=$((n + 1)); done
  mv "$run" "$run.$n"
  echo "quickstart: the run before is now $run.$n" >&2
fi
mkdir -p runs

build/release/bin/segtrain --config configs/quickstart.json --run "$run"
build/release/bin/segeval --run "$run" --json "$run/eval.json"
echo
echo "Eight held-out scenes (photo, truth, prediction, the score plane of every class): $run/samples.png"
