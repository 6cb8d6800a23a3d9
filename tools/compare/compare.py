"""Times segbench and its peers in turn, on the same weights, photos and threads. Called by compare.sh."""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEGBENCH = ROOT / "build/release/bin/segbench"
SIZES = {"segnet": "360x480", "fcn8s_vgg16": "375x500"}  # the others: 513x513
MODELS = ["segnet", "fcn8s_vgg16", "deeplabv3plus_mobilenet_v2", "deeplabv3plus_resnet50", "deeplabv3_resnet50",
          "fcn_resnet50"]
TRAINERS = ["torch", "torch-nhwc", "torch-compile"]
# PyTorch gains up to a fifth from huge pages; nobody else is harmed.
HUGE_PAGES = ("glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=34359738368:"
              "glibc.malloc.arena_max=1")


class Side:
    """A program that does one run for every line it is sent, and prints its ms."""

    def __init__(self, name, command, environment):
        self.name, self.ms = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=os.environ | environment)
        if not self.process.stdout.readline():  # ready
            raise SystemExit(f"{name} did not start: {' '.join(map(str, command))}")

    def run(self):
        print(file=self.process.stdin, flush=True)
        self.ms.append(float(self.process.stdout.readline()))

    def end(self):
        """What it has to say at the end."""
        self.process.stdin.close()
        return json.loads(self.process.stdout.read().splitlines()[-1])


def engines_of(model, mode, wanted):
    engines = TRAINERS if mode == "train" else TRAINERS[:2] + ["onnxruntime", "openvino"]
    if model == "segnet":  # ONNX has no max unpooling
        engines = [e for e in engines if e.startswith("torch")]
    return [e for e in engines if not wanted or e in wanted]


def segbench(model, mode, batch, size, *more):
    options = ["model.options.dropout=0"] + (["model.options.image_pooling=\"unnormalised\""] if batch == 1 else [])
    options = [o for o in options if "pooling" not in o or model.startswith("deeplab")]
    settings = [part for o in options for part in ("--set", o)]
    return [SEGBENCH, "--model", model, "--size", size or SIZES.get(model, "513x513"), "--mode", mode, "--batch", str(batch),
            *settings, *more]


def compare(model, mode, batch, arguments, folder):
    """One row of the table for each engine."""
    step = folder / "step.safetensors"
    subprocess.run(segbench(model, mode, batch, arguments.size, "--write-step", step), check=True)
    environment = {"OMP_NUM_THREADS": str(arguments.threads)}
    rows = []
    for engine in engines_of(model, mode, arguments.engines):
        try:
            peer = Side(engine, [sys.executable, pathlib.Path(__file__).with_name("worker.py"), engine, model, mode,
                                 str(batch), step], environment | {"GLIBC_TUNABLES": HUGE_PAGES})
        except SystemExit as error:
            print(error, file=sys.stderr)
            continue
        ours = Side("pixelwise", segbench(model, mode, batch, arguments.size, "--paced", "--json"), environment)
        for _ in range(arguments.runs):
            ours.run()
            peer.run()
        rows.append((model, mode, batch, engine, ours, ours.end(), peer, peer.end()))
        print(line(rows[-1]), flush=True)
    return rows


HEAD = (f"{'model':<27} {'mode':<6}{'batch':>5}  {'peer':<14}{'peer ms':>9}{'our ms':>9}{'faster':>8}{'of peak':>9}"
        f"{'peer MB':>9}{'our MB':>8}{'memory':>8}  agreement")


def line(row):
    model, mode, batch, engine, ours, report, peer, said = row
    peer_ms, our_ms = statistics.median(peer.ms), statistics.median(ours.ms)
    share = 100 * report["gflop"] / our_ms * 1e3 / report["peak_gflops"]
    agrees = ", ".join(f"{key} {value:.0e}" for key, value in said.items() if key != "rss_mb")
    return (f"{model:<27} {mode:<6}{batch:>5}  {engine:<14}{peer_ms:>9.1f}{our_ms:>9.1f}{peer_ms / our_ms:>7.2f}x"
            f"{share:>8.0f}%{said['rss_mb']:>9.0f}{report['rss_mb']:>8.0f}{report['rss_mb'] / said['rss_mb']:>8.2f}"
            f"  {agrees}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--modes", nargs="+", default=["train", "infer"], choices=["train", "infer"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--size", help=f"HEIGHTxWIDTH of all; default: {SIZES}, the others 513x513")
    parser.add_argument("--engines", nargs="+", default=[], help="only these")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=5, help="of each side, in turn")
    arguments = parser.parse_args()
    cpu = next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    print(f"{cpu}, {arguments.threads} threads, {datetime.date.today()}, fp32; medians of {arguments.runs} runs in turn; "
          f"photos {arguments.size or f'{SIZES}, the others 513x513'}\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for mode in arguments.modes:
                for batch in arguments.batches:
                    compare(model, mode, batch, arguments, pathlib.Path(folder))


main()
