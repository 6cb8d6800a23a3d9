#!/usr/bin/env bash
# Builds Pixelwise and runs its tests. --all adds sanitizers, the preset `minimal`, every kernel forced in turn and
# every command of README and docs. --no-install: do not look for packages. Warnings are errors with --all and where CI
# is set (elsewhere what tools/quickstart.sh has built is not built again).
set -euo pipefail
cd "$(dirname "$0")/.."

all=false install=true
for argument in "$@"; do
  case $argument in
    --all) all=true ;;
    --no-install) install=false ;;
    *) echo "usage: tools/test.sh [--all] [--no-install]" >&2; exit 2 ;;
  esac
done
$install && tools/setup.sh

strict=()
if $all || [[ ${CI:-} ]]; then strict=(-- -DPIXELWISE_WERROR=ON); fi

# run_tests PRESET [ctest options]: builds everything and runs the tests.
run_tests() {
  local preset=$1 && shift
  tools/build.sh "$preset" "${strict[@]}"
  ctest --preset "$preset" -j "$(nproc)" "$@"
}

if $all; then
  run_tests minimal
  for preset in asan-ubsan tsan; do
    OMP_NUM_THREADS=3 run_tests "$preset" -LE slow
  done
  tools/build.sh release "${strict[@]}"
  for kernel in definition im2col amx; do
    echo "== tests with PIXELWISE_KERNELS=$kernel"
    PIXELWISE_KERNELS=$kernel ctest --preset release -j "$(nproc)" -LE slow
  done
  for isa in baseline avx2; do
    echo "== tests with PIXELWISE_ISA=$isa"
    PIXELWISE_ISA=$isa ctest --preset release -j "$(nproc)" -LE slow
  done
  tests/faults/kill_and_resume.sh build/release/bin 50
  tests/docs/run_commands.sh README.md docs/*.md
fi
run_tests release
