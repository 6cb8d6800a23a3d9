#!/usr/bin/env bash
# All C++ files are formatted as .clang-format says. Skipped (exit 77) where clang-format 14 is not there.
cd "${1:-$(dirname "$0")/../..}" || exit 1
tool=$(command -v clang-format-14 || command -v clang-format) || exit 77
"$tool" --version | grep -q 'version 14\.' || exit 77
find src include tests tools examples -name '*.cpp' -o -name '*.hpp' | sort | xargs "$tool" --dry-run -Werror
