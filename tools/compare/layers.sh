#!/usr/bin/env bash
# Times every distinct convolution of the compared models, in all passes, against Debian's oneDNN: installs libdnnl-dev
# where it is missing, builds tools/compare/onednn, and prints a table (docs/benchmarks.md). Options as layers.py --help.
set -euo pipefail
cd "$(dirname "$0")/../.."

dpkg -s libdnnl-dev >/dev/null 2>&1 || ${SUDO-$([[ $(id -u) == 0 ]] || echo sudo)} apt-get install -y --no-install-recommends libdnnl-dev
if [[ ${1:-} != --built ]]; then
  tools/build.sh release pixelwise_models >/dev/null
  cmake -S tools/compare/onednn -B build/compare/onednn -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build build/compare/onednn -j "$(nproc)" >/dev/null
else
  shift
fi
exec python3 tools/compare/layers.py "$@"
