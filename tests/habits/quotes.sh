#!/usr/bin/env bash
# Every ```cpp block of the documents stands line by line (but for its indentation) in a file that the document links:
# so it is compiled, and run by the tests. Prints every other one; exits 1 where there is one.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
status=0

unindented() { sed -E 's/^ +//' "$@"; }

while IFS= read -r document; do
  mapfile -t sources < <(grep -oE '\]\([^) ]+\.[ch]pp\)' "$document" | sed -E 's/^\]\((.*)\)$/\1/' | sort -u)
  while IFS= read -r -d '' block; do
    found=false
    for source in "${sources[@]}"; do
      [[ $(unindented "$(dirname "$document")/$source") == *"$(unindented <<<"$block")"* ]] && found=true && break
    done
    $found || { printf '%s: in no file that it links:\n%s\n' "$document" "$block"; status=1; }
  done < <(awk '/^```/ { if (inside) printf "%c", 0; inside = !inside && /^```cpp/; next } inside' "$document")
done < <(find . -name '*.md' -not -path './build/*' -not -path './runs/*' -not -path './.git/*' | sort)
exit $status
