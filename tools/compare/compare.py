"""Times segbench and its peers in turn, on the same weights, photos and threads. Called by compare.sh."""
import argparse
import datetime
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import report
from machine import AMX, ROOT, SEGBENCH, SIZES, machine_text, model_settings, size_of
from side import Side, SideFailed

HERE = pathlib.Path(__file__).resolve().parent
PYTORCH = ["torch", "torch-nhwc", "torch-compile", "torch-nhwc-compile"]
ONNX = ["onnxruntime", "openvino", "mnn"]
# PyTorch gains up to a fifth from huge pages; nobody else is harmed.
HUGE_PAGES = ("glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=34359738368:"
              "glibc.malloc.arena_max=1")


def engines_of(model, mode, wanted):
    engines = PYTORCH if mode == "train" or model == "segnet" else PYTORCH + ONNX  # ONNX has no max unpooling
    if wanted:
        return [e for e in engines if e in wanted]
    return [e for e in engines if e != "mnn" or model == "fcn8s_vgg16"]  # elsewhere only where asked for


def segbench(cell, size, *more):
    model, mode, batch, precision = cell
    settings = model_settings(model, batch) + [f"precision={precision}"]
    sets = [part for setting in settings for part in ("--set", setting)]
    return [SEGBENCH, "--model", model, "--size", size or size_of(model), "--mode", mode, "--batch", str(batch),
            *sets, *more]


def worker(engine, cell, step):
    script = "torch_worker.py" if engine in PYTORCH + ["export"] else "onnx_worker.py"
    return [sys.executable, HERE / script, engine, *map(str, cell[:3]), step]


def race(cell, engine, step, arguments, date):
    """Runs of both sides in turn: the line of the table, and that of the counts (PyTorch alone counts)."""
    environment = {"OMP_NUM_THREADS": str(arguments.threads)}
    with (Side(engine, worker(engine, cell, step), environment | {"GLIBC_TUNABLES": HUGE_PAGES}) as peer,
          Side("pixelwise", segbench(cell, arguments.size, "--paced", "--json"), environment) as ours):
        for _ in range(arguments.runs):
            ours.run()
            peer.run()
        ours_said, peer_said = ours.end(), peer.end()
    arguments.peak = ours_said["peak_gflops"] = max(arguments.peak, ours_said["peak_gflops"])
    row = report.row(cell, engine, statistics.median(peer.ms), statistics.median(ours.ms), ours_said, peer_said, date)
    return row, report.count_row(cell, ours_said, peer_said) if "parameters" in peer_said else None


def finish(name, command, threads):
    """Runs a program to its end."""
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    if ran.returncode:
        raise SideFailed(f"{name}: " + (ran.stderr.strip().splitlines() or [f"ended with status {ran.returncode}"])[-1])


def compare(cell, arguments, write):
    """All peers of a cell (model, mode, batch, precision), on the weights and photos of one step."""
    date = datetime.date.today()
    with tempfile.TemporaryDirectory() as folder:
        step = pathlib.Path(folder) / "step.safetensors"
        for engine in engines_of(cell[0], cell[1], arguments.engines):
            try:
                if not step.exists():
                    finish("pixelwise", segbench(cell, arguments.size, "--write-step", step), arguments.threads)
                if engine in ONNX and not step.with_name(step.name + ".onnx").exists():
                    finish("export to ONNX", worker("export", cell, step), arguments.threads)
                row, counts = race(cell, engine, step, arguments, date)
            except SideFailed as failure:
                row, counts = report.failed_row(cell, engine, date, str(failure)), None
            print(row, flush=True)
            write([row], [counts] if counts else [])


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=report.MODELS, choices=report.MODELS)
    parser.add_argument("--modes", nargs="+", default=["train", "infer"], choices=["train", "infer"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--size", help=f"HEIGHTxWIDTH of all; default: {SIZES}, the others 513x513")
    parser.add_argument("--engines", nargs="+", default=[], choices=PYTORCH + ONNX, help="only these")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "strict"], help="of Pixelwise; peers: plain fp32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=5, help="of each side, in turn")
    parser.add_argument("--write", action="store_true", help="put what was measured into docs/benchmarks.md")
    parser.set_defaults(peak=0)  # GFLOP/s: the most that was measured so far, because others may use the machine too
    arguments = parser.parse_args()
    if arguments.write and arguments.size:
        parser.error("--write is for the sizes of the table: leave out --size")
    return arguments


def main():
    arguments = parse()
    machine = machine_text(arguments.threads)
    rows, counts = [], []

    def keep(new_rows, new_counts):
        rows.extend(new_rows)
        counts.extend(new_counts)
        if arguments.write:
            report.write(ROOT / "docs/benchmarks.md", machine, rows, counts, AMX)

    print(f"{machine}, {datetime.date.today()}; medians of {arguments.runs} runs in turn; photos "
          f"{arguments.size or f'{SIZES}, the others 513x513'}\n{report.ROW_HEAD}", flush=True)
    for model in arguments.models:
        for mode in arguments.modes:
            for batch in arguments.batches:
                compare((model, mode, batch, arguments.precision), arguments, keep)
    print(report.COUNT_HEAD, *report.merged([], counts, 4), report.BEST_HEAD,
          *report.best_rows(report.merged([], rows, 5), AMX), sep="\n")


main()
