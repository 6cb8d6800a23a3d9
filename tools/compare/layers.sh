#!/usr/bin/env bash
# Times every distinct convolution of the compared models, in all passes, against Debian's oneDNN: installs libdnnl-dev
# where it is missing, builds tools/compare/onednn, and prints a table; --write puts it into docs/benchmarks.md. Options as
# layers.py --help; --built, first: what was built the last time is run.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ${1:-} == --built ]]; then
  shift
else
  tools/setup.sh --onednn
  tools/build.sh release pixelwise_models >/dev/null
  cmake -S tools/compare/onednn -B build/compare/onednn -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build build/compare/onednn -j "$(nproc)" >/dev/null
fi
exec python3 tools/compare/layers.py "$@"
