#!/usr/bin/env bash
# kill_and_resume.sh BIN [KILLS]: trains a small network, killing it (SIGKILL) at random moments and resuming it, with
# 1 or 2 threads by turns, until it was killed KILLS times (5); then stops trainings by SIGINT and SIGTERM. Weights,
# best weights, last checkpoint and metrics must equal those of a training that nobody stopped, byte for byte.
set -euo pipefail
bin=$(cd "$1" && pwd)
kills=${2:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
set -m  # else a script's background jobs ignore SIGINT

# Everything random is on; an epoch has 11 batches, 5 steps; checkpoints lie in the middle of epochs.
cat > config.json <<'JSON'
{
  "model": { "name": "fcn8s_vgg16_bn", "classes": 7,
             "options": { "width": 0.0625, "fc_channels": 16, "dropout": 0.5 } },
  "data": { "format": "shapes", "train": "22", "val": "2", "size": [48, 48], "class_names": "shapes", "workers": 2 },
  "augment": { "scale": [0.5, 2], "crop": [32, 32], "flip": 0.5, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2 },
  "optimizer": { "name": "adam", "lr": 0.003 },
  "train": { "batch_size": 2, "accumulate": 2, "max_steps": 40, "checkpoint_every_steps": 3 }
}
JSON

start() {  # start RUN THREADS: a training in the background, begun or resumed
  PIXELWISE_THREADS=$2 GOMP_SPINCOUNT=1000 "$bin/segtrain" --config config.json --run "$1" --resume 2>"$1.log" &
}
await() {  # await: ends with the exit code of the training
  local code=0
  wait "$!" 2>/dev/null || code=$?
  return "$code"
}
finish() {  # finish RUN: trains to the end
  start "$1" 2 && await || { cat "$1.log"; exit 1; }
}
steps() { if [[ -s $1/metrics.jsonl ]]; then grep -c '"loss"' "$1/metrics.jsonl" || true; else echo 0; fi; }
compare() {  # compare RUN
  for file in weights.safetensors best.safetensors checkpoints/step-00000040.safetensors samples.png; do
    cmp "whole/$file" "$1/$file" || exit 1
  done
  diff <(sed 's/,"ms".*//' whole/metrics.jsonl) <(sed 's/,"ms".*//' "$1/metrics.jsonl") || exit 1
  if find "$1" -name '*.tmp.*' | grep .; then exit 1; fi
}

began=$(date +%s%N)
start whole 1 && await || { cat whole.log; exit 1; }
(($(steps whole) == 40)) || { echo "the training made $(steps whole) of 40 steps"; exit 1; }
longest=$((($(date +%s%N) - began) / 2000000))  # milliseconds until a kill: half a training

killed=0 round=1 at=()
while ((killed < kills)); do
  start "run$round" $((RANDOM % 2 + 1))
  delay=$((longest * RANDOM / 32768))
  sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
  kill -KILL %% 2>/dev/null || true
  code=0 && await || code=$?
  case $code in
    137) killed=$((killed + 1)) && at+=("$(steps "run$round")") ;;
    0) compare "run$round" && rm -rf "run$round" && round=$((round + 1)) ;;
    *) echo "exit code $code:" && cat "run$round.log" && exit 1 ;;
  esac
done
finish "run$round"
compare "run$round"
echo "$killed kills in $round trainings of 40 steps, after step ${at[*]}: the same bytes"

for stop in INT:130 TERM:143; do
  run=stopped-$stop
  start "$run" 2
  until (($(steps "$run") >= 4)); do sleep 0.02; done
  kill -"${stop%:*}" %%
  code=0 && await || code=$?
  ((code == ${stop#*:})) || { echo "SIG${stop%:*}: exit code $code"; cat "$run.log"; exit 1; }
  stopped=$(steps "$run")
  finish "$run"
  grep -q "resuming at step $stopped " "$run.log" || { echo "step $stopped was not saved:"; cat "$run.log"; exit 1; }
  compare "$run"
  echo "SIG${stop%:*} after step $stopped: exit code $code, saved, the same bytes"
done
