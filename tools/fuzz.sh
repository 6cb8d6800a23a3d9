#!/usr/bin/env bash
# tools/fuzz.sh [TARGET...] [--seconds N] [--no-install]: builds the libFuzzer targets (tests/fuzz) with clang, under
# AddressSanitizer, UndefinedBehaviorSanitizer and leak detection, and runs each for N seconds (600): config,
# safetensors, png, jpeg, image, list. A crash, a leak, more than 512 MiB or more than 10 seconds for one input ends a
# target; the input is then in build/fuzz/found. Prints a line per target; exits 1 where one was not clean. What was
# found worth keeping is in build/fuzz/corpus, where the next run goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=() seconds=600 install=true
while (($#)); do
  case $1 in
    --seconds) seconds=${2:?fuzz: --seconds wants a number} && shift ;;
    --no-install) install=false ;;
    config | safetensors | png | jpeg | image | list) targets+=("$1") ;;
    *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
((${#targets[@]})) || targets=(config safetensors png jpeg image list)
$install && tools/setup.sh --clang

folder=build/fuzz
tools/build.sh fuzz fuzz_seeds "${targets[@]/#/fuzz_}"
mkdir -p $folder/{found,logs}
$folder/bin/fuzz_seeds $folder/seeds

export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=16 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
status=0
printf '%-12s %12s %8s %8s %9s\n' target executions seconds findings 'RSS (MiB)'
for target in "${targets[@]}"; do
  corpus=$folder/corpus/$target log=$folder/logs/$target
  mkdir -p "$corpus"
  start=$SECONDS findings=0
  $folder/bin/fuzz_"$target" "$corpus" $folder/seeds/"$target" -dict=$folder/seeds/"$target".dict \
    -max_total_time="$seconds" -rss_limit_mb=512 -malloc_limit_mb=512 -timeout=10 -print_final_stats=1 \
    -artifact_prefix=$folder/found/"$target"- >"$log" 2>&1 || findings=1 status=1
  statistic() { awk -v name="stat::$1:" '$1 == name { print $2 }' "$log"; }
  printf '%-12s %12s %8s %8s %9s\n' "$target" "$(statistic number_of_executed_units)" $((SECONDS - start)) $findings \
    "$(statistic peak_rss_mb)"
  if ((findings)); then
    grep -aE 'ERROR: |runtime error: |broken promise: |what\(\): |SUMMARY: |Test unit written' "$log" | sed 's/^/  /' || true
  fi
done
exit $status
