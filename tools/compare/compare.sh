#!/usr/bin/env bash
# Times Pixelwise against PyTorch, ONNX Runtime, OpenVINO and MNN on this machine: installs them into a virtual
# environment under build/, runs both sides in turn on the same weights, and prints a table; --write puts it into
# docs/benchmarks.md. Options as compare.py --help. Needs Python 3.10 or newer and build/release; torch.compile also
# g++ and Python's headers.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=build/compare/venv
if [[ ! -x $venv/bin/python ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet -r tools/compare/requirements.txt
fi
exec "$venv/bin/python" tools/compare/compare.py "$@"
