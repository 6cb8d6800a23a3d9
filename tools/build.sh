#!/usr/bin/env bash
# tools/build.sh PRESET [TARGET...] [-- cmake options...]: configures and builds build/PRESET.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1 && shift
targets=()
while (($#)) && [[ $1 != -- ]]; do targets+=("$1") && shift; done
(($#)) && shift

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1  # clones share what ccache holds

generator=()
[[ -f build/$preset/CMakeCache.txt ]] || { command -v ninja >/dev/null && generator=(-G Ninja); }
cmake --preset "$preset" "${generator[@]}" "$@" >/dev/null
cmake --build --preset "$preset" -j "$(nproc)" ${targets[@]:+--target "${targets[@]}"}
