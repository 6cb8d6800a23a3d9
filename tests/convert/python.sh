#!/usr/bin/env bash
# python.sh SCRIPT ARGUMENT...: runs a Python test with PIXELWISE_PYTHON, or python3. Skipped (77) without either.
python=${PIXELWISE_PYTHON:-python3}
command -v "$python" >/dev/null || exit 77
exec "$python" "$@"
