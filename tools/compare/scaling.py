"""How time grows: with threads, with pixels, with photos. Needs build/release alone.

threads: runs with one thread and with all of them in turn; where two are less than 1.75 times one, the nodes that lose most,
with the memory that they move (each map and weight once). pixels, batch: four sizes in turn, each in a process of its own;
how far each is from the line through all four (constant + slope * size: a step's constant is the update of the parameters)."""
import argparse
import datetime
import json
import os
import re
import statistics
import subprocess

from machine import ROOT, SEGBENCH, machine_text, model_settings, size_of
from report import MODELS, merged, replace_block, tables_of
from side import Side, SideFailed

WANTED_THREADS, WANTED_LINE = 1.75, 15  # times as fast; percent
KEY = f"{'model':<27}{'mode':<6}"
THREADS_HEAD = KEY + f"{'one ms':>9}{'all ms':>9}{'faster':>8}  met     date"
NODES_HEAD = KEY + f"{'node':<52} {'kernel':<16}{'one ms':>8}{'all ms':>8}{'faster':>8}{'GB/s':>7}{'GFLOP/s':>9}"
LINE_HEAD = KEY + f"{'what':<7}{'sizes':<42}{'ms':<40}{'off the line':>13}  met     date"
HEADS = [THREADS_HEAD, NODES_HEAD, LINE_HEAD]
TODAY = datetime.date.today()


def key_of(model, mode):
    return f"{model:<27}{mode:<6}"


def command(program, model, mode, size=None, batch=1):
    """Image pooling as with one photo, so that all batches are the same network."""
    sets = [part for setting in model_settings(model, 1) for part in ("--set", setting)]
    named = ["--model", model] if program == SEGBENCH else [model]
    return [program, *named, *sets, "--size", size or size_of(model), "--mode", mode, "--batch", str(batch)]


def output(arguments):
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def profile(model, mode, threads):
    """Kernel and ms of every node: the median of three runs."""
    runs = [re.findall(r"^(\S+) +(\S+) +([\d.]+) ms", output(command(SEGBENCH, model, mode) +
                                                            ["--profile", "--threads", str(threads)]), re.M)
            for _ in range(3)]
    return {nodes[0][0]: (nodes[0][1], statistics.median(float(ms) for _, _, ms in nodes)) for nodes in zip(*runs)}


def worst_nodes(model, mode, threads):
    """The five nodes that lose most against a perfect division of their work."""
    one, many = profile(model, mode, 1), profile(model, mode, threads)
    described = output(command(SEGBENCH.with_name("segdescribe"), model, mode) + ["--json"])
    nodes = {node["name"]: node for node in json.loads(described)}
    lost = lambda name: many[name][1] - one[name][1] / threads
    lines = []
    for name in sorted(one, key=lost, reverse=True)[:5]:
        ms, node = max(many[name][1], 1e-3), nodes[name]
        lines.append(key_of(model, mode) + f"{name:<52} {many[name][0]:<16}{one[name][1]:>8.2f}{ms:>8.2f}"
                     f"{one[name][1] / ms:>7.2f}x{node['bytes'] * 1e-6 / ms:>7.1f}{node['flop'] * 1e-6 / ms:>9.1f}")
    return lines


def scale_threads(model, mode, runs, threads):
    """A line of THREADS_HEAD, and those of NODES_HEAD."""
    paced = command(SEGBENCH, model, mode) + ["--paced", "--threads"]
    start = lambda count: Side("segbench", paced + [str(count)], {})
    with start(1) as one, start(threads) as many:
        for _ in range(runs):
            one.run()
            many.run()
    a, b = statistics.median(one.ms), statistics.median(many.ms)
    met = a / b >= WANTED_THREADS
    line = key_of(model, mode) + f"{a:>9.1f}{b:>9.1f}{a / b:>7.2f}x  {'yes' if met else 'MISSED':<8}{TODAY}"
    return line, [] if met else worst_nodes(model, mode, threads)


def distance_from_line(sizes, ms):
    """The largest relative distance of a point from the line a + b x that has the least squares of them, in percent."""
    w = [1 / t**2 for t in ms]
    s, sx = sum(w), sum(wi * x for wi, x in zip(w, sizes))
    sxx, st = sum(wi * x * x for wi, x in zip(w, sizes)), sum(wi * t for wi, t in zip(w, ms))
    sxt = sum(wi * x * t for wi, x, t in zip(w, sizes, ms))
    b = (s * sxt - sx * st) / (s * sxx - sx * sx)
    a = (st - b * sx) / s
    return 100 * max(abs(t - a - b * x) / t for x, t in zip(sizes, ms))


def scaled_size(model, factor):
    """The model's size with its sides times factor."""
    return "x".join(str(round(int(side) * factor)) for side in size_of(model).split("x"))


def scale_sizes(model, mode, what, rounds):
    """A line of LINE_HEAD: four processes in turn, `rounds` times."""
    batches, factors = [1, 2, 4, 8], [0.5, 0.5**0.5, 1, 2**0.5]  # pixels: from a quarter to twice
    names = batches if what == "batch" else [scaled_size(model, factor) for factor in factors]
    ms = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            size, batch = (None, name) if what == "batch" else (name, 1)
            once = output(command(SEGBENCH, model, mode, size, batch) + ["--runs", "1", "--json"])
            ms[name].append(json.loads(once)["ms"])
    medians = [statistics.median(ms[name]) for name in names]
    sizes = names if what == "batch" else [int(h) * int(w) for h, w in (name.split("x") for name in names)]
    off = distance_from_line(sizes, medians)
    return (key_of(model, mode) + f"{what:<7}{', '.join(map(str, names)):<42}{', '.join(f'{t:.1f}' for t in medians):<40}"
            f"{off:>12.1f}%  {'yes' if off <= WANTED_LINE else 'MISSED':<8}{TODAY}")


def write(machine, threads, nodes, lines):
    """nodes replace all old ones of the models and modes that were measured."""
    measured = {tuple(line.split()[:2]) for line in threads}

    def make(old):
        tables = tables_of(old, HEADS)
        kept = [line for line in tables[NODES_HEAD] if tuple(line.split()[:2]) not in measured]
        parts = [[THREADS_HEAD, *merged(tables[THREADS_HEAD], threads, 2)], [NODES_HEAD, *merged(kept, nodes, 3)],
                 [LINE_HEAD, *merged(tables[LINE_HEAD], lines, 3)]]
        return f"{machine}.\n\n" + "\n\n".join("\n".join(["```text", *p, "```"]) for p in parts if len(p) > 1)

    replace_block(ROOT / "docs/benchmarks.md", f"scaling.py on {machine}", make)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--modes", nargs="+", default=["train", "infer"], choices=["train", "infer"])
    parser.add_argument("--what", nargs="+", default=["threads", "pixels", "batch"], choices=["threads", "pixels", "batch"])
    parser.add_argument("--runs", type=int, default=9, help="of each number of threads, in turn")
    parser.add_argument("--rounds", type=int, default=3, help="of the four sizes, in turn")
    parser.add_argument("--write", action="store_true", help="put what was measured into docs/benchmarks.md")
    arguments = parser.parse_args()
    threads, nodes, lines = [], [], []
    for model in arguments.models:
        for mode in arguments.modes:
            for what in arguments.what:
                try:
                    if what == "threads":
                        line, worst = scale_threads(model, mode, arguments.runs, os.cpu_count())
                        threads, nodes = threads + [line], nodes + worst
                        print(THREADS_HEAD, line, *([NODES_HEAD, *worst] if worst else []), sep="\n", flush=True)
                    else:
                        lines.append(scale_sizes(model, mode, what, arguments.rounds))
                        print(LINE_HEAD, lines[-1], sep="\n", flush=True)
                except (SideFailed, subprocess.CalledProcessError) as failure:
                    print(f"{key_of(model, mode)}{what} failed: {failure}", flush=True)
                if arguments.write:
                    write(machine_text(), threads, nodes, lines)


main()
