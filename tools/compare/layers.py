"""Runs build/compare/onednn/layers, and puts its lines into docs/benchmarks.md. Called by layers.sh."""
import argparse
import datetime
import os
import pathlib
import statistics
import subprocess

from machine import ROOT, machine_text
from report import MODELS, replace_block

HEAD = (f"{'convolution':<42} {'pass':<8} {'our ms':>9} {'oneDNN ms':>9} {'GFLOP/s':>8} {'of peak':>7} {'faster':>8} "
        f"{'apart':>8}  {'our kernel':<14} oneDNN's")
PASSES = ["forward", "data", "weights"]
WANTED = "geometric mean at least 1.5, no shape below 0.9"


def faster(line):
    return float(line.split()[6].rstrip("x"))


def summary(lines):
    """For each pass the geometric mean of how many times as fast, how many lines are below 0.9, and the worst."""
    text = [f"{'pass':<8} {'shapes':>6} {'geometric mean':>15} {'below 0.9':>10}  worst"]
    for name in PASSES:
        of_pass = [line for line in lines if line.split()[1] == name]
        if of_pass:
            worst = min(of_pass, key=faster)
            text.append(f"{name:<8} {len(of_pass):>6} {statistics.geometric_mean(map(faster, of_pass)):>14.2f}x "
                        f"{sum(faster(line) < 0.9 for line in of_pass):>10}  {faster(worst):.2f}x {worst.split()[0]}")
    return text


def merged(block, lines, everything):
    """Lines of the block and new ones by shape and pass, new ones in place of old; where everything was measured again,
    the new ones alone."""
    old = [] if everything else [line for line in block.splitlines() if "->" in line.split(" ")[0]]
    return list({tuple(line.split()[:2]): line for line in old + lines}.values())


def measure(arguments):
    environment = os.environ | {"BATCH": str(arguments.batch), "PRECISION": arguments.precision}
    command = [ROOT / "build/compare/onednn/layers", *arguments.models]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            print(lines[-1], flush=True)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with status {process.returncode}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS, help="the convolutions of these")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "strict"], help="of Pixelwise; oneDNN: fp32")
    parser.add_argument("--write", action="store_true", help="put what was measured into docs/benchmarks.md")
    arguments = parser.parse_args()
    print(HEAD, flush=True)
    lines = measure(arguments)
    print(*summary(lines), f"wanted: {WANTED}", sep="\n")
    if not arguments.write:
        return
    machine, today = machine_text(), datetime.date.today()

    def block(old):
        everything = merged(old, lines, arguments.models == MODELS)
        return "\n".join([f"{machine}, {today}, batch {arguments.batch}, precision {arguments.precision}. Wanted: {WANTED}.",
                          "", "```text", *summary(everything), "```", "", "```text", HEAD, *everything, "```"])

    replace_block(ROOT / "docs/benchmarks.md", f"layers.py on {machine}", block)


main()
