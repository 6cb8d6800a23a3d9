#!/usr/bin/env bash
# tools/quickstart.sh with stand-ins for all that it calls: what runs in which order, that packages are looked for only
# where that is wanted, and that no run before is lost.
set -euo pipefail
source=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $1"; cat "$scratch/calls"; exit 1; }

tree=$scratch/tree
mkdir -p "$tree/tools" "$tree/build/release/bin"
cp "$source/tools/quickstart.sh" "$tree/tools"
stand_in() {  # PATH [COMMAND]: a script that notes its call
  printf '#!/usr/bin/env bash\necho "%s $*" >>"%s"\n%s\n' "$(basename "$1")" "$scratch/calls" "${2:-}" >"$tree/$1"
  chmod +x "$tree/$1"
}
stand_in tools/setup.sh
stand_in tools/build.sh
stand_in build/release/bin/segtrain 'mkdir "$4" && wc -l <'"$scratch/calls"' >"$4/number"'
stand_in build/release/bin/segeval 'echo the table'
quickstart() { : >"$scratch/calls" && (cd / && "$tree/tools/quickstart.sh" "$@") >"$scratch/out" 2>"$scratch/err"; }

code=0
quickstart --no-instal || code=$?
[[ $code == 2 && ! -s $scratch/calls ]] && grep -q usage "$scratch/err" || fail "an unknown option must do nothing"

quickstart || fail "the first run"
[[ $(cut -d' ' -f1 "$scratch/calls" | tr '\n' ' ') == "setup.sh build.sh segtrain segeval " ]] || fail "the order"
grep -q '^segtrain --config configs/quickstart.json --run runs/quickstart$' "$scratch/calls" || fail "the training"
grep -q '^segeval --run runs/quickstart ' "$scratch/calls" || fail "the evaluation"
[[ $(head -1 "$scratch/out") == "the table" && $(tail -1 "$scratch/out") == *runs/quickstart/samples.png ]] ||
  fail "it ends with the table and with where the picture is"

quickstart --no-install || fail "the second run"
grep -q setup "$scratch/calls" && fail "--no-install must not look for packages"
quickstart --no-install || fail "the third run"
# The first training was the third call of its quickstart, the others the second.
[[ $(cat "$tree"/runs/quickstart{.1,.2,}/number | tr '\n' ' ') == "3 2 2 " ]] || fail "runs before are kept, in order"
