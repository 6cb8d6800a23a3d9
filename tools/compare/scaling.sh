#!/usr/bin/env bash
# How the time of a step grows with threads, pixels and photos: prints tables; --write puts them into docs/benchmarks.md.
# Options as scaling.py --help. Needs Python 3.10 or newer and build/release.
set -euo pipefail
exec python3 "$(dirname "$0")/scaling.py" "$@"
