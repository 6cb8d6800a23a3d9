#!/usr/bin/env bash
# Every relative link of the documents leads somewhere, and a `name` in backticks right after a link to a source file
# occurs in that file (docs/where-is.md: paper -> function -> test). Prints every dead one; exits 1 where there is one.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
status=0

dead() { echo "$1: $2"; status=1; }

while IFS= read -r document; do
  folder=$(dirname "$document")
  # One "target<TAB>name" per link; the name is empty where no backticks follow.
  while IFS=$'\t' read -r target name; do
    [[ $target =~ ^(https?:|mailto:|#) ]] && continue
    path=$folder/${target%%#*}
    [[ -e $path ]] || { dead "$document" "no such file: $target"; continue; }
    [[ -n $name && -f $path ]] || continue
    if [[ $name =~ ^([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)$ && $path == *_test.cpp ]]; then
      grep -qE "TEST(_F|_P)?\(${BASH_REMATCH[1]}, *${BASH_REMATCH[2]}\)" "$path" || dead "$document" "no test $name in $target"
    else
      grep -qF -- "$name" "$path" || dead "$document" "no $name in $target"
    fi
  done < <(grep -oE '\]\([^) ]+\)( `[^`]+`)?' "$document" |
           sed -E 's/^\]\(([^)]+)\)( `([^`]+)`)?$/\1\t\3/')
done < <(find . -name '*.md' -not -path './build/*' -not -path './runs/*' -not -path './.git/*' | sort)
exit $status
