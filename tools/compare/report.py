"""The tables of compare.py, as lines of text whose first words are their key, and the block of docs/benchmarks.md that
holds them. A later run replaces the lines that it measured again, and keeps all others."""
import re

# Time of the best peer by ours, (must, stretch): training and inference on processors without AMX, and with it.
TARGETS = {
    "segnet": {"train": ((2.8, 4.0), (2.6, 3.6)), "infer": ((2.9, 4.2), (2.4, 3.6))},
    "fcn8s_vgg16": {"train": ((2.0, 2.7), (2.3, 3.2)), "infer": ((1.9, 2.5), (2.1, 3.0))},
    "deeplabv3plus_mobilenet_v2": {"train": ((2.3, 3.6), (2.2, 3.2)), "infer": ((2.0, 2.9), (1.8, 2.6))},
    "deeplabv3plus_resnet50": {"train": ((1.8, 2.4), (2.3, 3.2)), "infer": ((1.5, 1.9), (2.0, 2.8))},
    "deeplabv3_resnet50": {"train": ((1.6, 2.2), (2.3, 3.2)), "infer": ((1.3, 1.55), (2.0, 3.0))},
    "fcn_resnet50": {"train": ((1.5, 2.0), (2.3, 3.2)), "infer": ((1.4, 1.8), (2.1, 3.0))},
}
MODELS = list(TARGETS)
MEMORY = {"fcn8s_vgg16": 0.75}  # of PyTorch's, in training; the others 0.6
# Differences that rounding explains: of the loss, of all gradients as one vector, the share of pixels of another class.
# SegNet's poolings choose between almost equal values, and hand the choice on.
TOLERANCE = {"loss": 1e-4, "gradient": 0.1, "pixels_elsewhere": 0.01}
SEGNET_GRADIENT = 0.5

KEY = f"{'model':<27}{'mode':<6}{'batch':>5} {'precision':<9} "
ROW_HEAD = KEY + (f"{'peer':<19}{'peer ms':>8}{'our ms':>8}{'faster':>8}{'of peak':>8}{'peer MB':>8}{'our MB':>7}{'memory':>7}"
                  "  date        agreement")
COUNT_HEAD = KEY + f"{'parameters':>11}{'theirs':>11}{'GFLOP':>9}{'theirs':>9}"
BEST_HEAD = KEY + f"{'best peer':<19}{'faster':>8}{'must':>6}{'stretch':>8}  {'met':<8}{'memory':>7}{'limit':>6}  met"


def key_of(cell):
    model, mode, batch, precision = cell
    return f"{model:<27}{mode:<6}{batch:>5} {precision:<9} "


def disagreement(model, said):
    """Names what differs by more than rounding explains; empty: nothing."""
    limits = TOLERANCE | ({"gradient": SEGNET_GRADIENT} if model == "segnet" else {})
    return [name for name, limit in limits.items() if not said.get(name, 0) <= limit]


def row(cell, engine, peer_ms, our_ms, report, said, date):
    share = 100 * report["gflop"] / our_ms * 1e3 / report["peak_gflops"]
    agrees = ", ".join(f"{name} {said[name]:.0e}" for name in TOLERANCE if name in said)
    if wrong := disagreement(cell[0], said):
        agrees = f"DISAGREES in {' and '.join(wrong)}: {agrees}"
    return key_of(cell) + (f"{engine:<19}{peer_ms:>8.1f}{our_ms:>8.1f}{peer_ms / our_ms:>7.2f}x{share:>7.0f}%"
                           f"{said['rss_mb']:>8.0f}{report['rss_mb']:>7.0f}{report['rss_mb'] / said['rss_mb']:>7.2f}"
                           f"  {date}  {agrees}")


def failed_row(cell, engine, date, reason):
    return key_of(cell) + f"{engine:<19}failed on {date}: {reason[:120]}"


def count_row(cell, report, said):
    """Pixelwise counts every operator, PyTorch convolutions alone."""
    same = "" if report["parameters"] == said["parameters"] else "  DIFFERENT NETWORKS"
    return key_of(cell) + (f"{report['parameters']:>11}{said['parameters']:>11}{report['gflop']:>9.1f}"
                           f"{said['gflop']:>9.1f}{same}")


def best_rows(rows, amx):
    """For each cell of rows in precision fp32, which the targets are for: the peer that is hardest to beat, of those that
    compute the same, and what was wanted. (The smallest ratio, not the smallest time: only runs in turn can be
    compared.)"""
    cells = {}
    for line in rows:
        words = line.split()
        if words[5] != "failed" and words[3] == "fp32":
            cells.setdefault(tuple(words[:4]), []).append(words)
    lines = []
    for cell, peers in cells.items():
        model, mode = cell[:2]
        best = min((p for p in peers if "DISAGREES" not in p), key=lambda p: float(p[7].rstrip("x")), default=None)
        if best is None:
            lines.append(key_of(cell) + "no peer agrees")
            continue
        faster = float(best[7].rstrip("x"))
        must, stretch = TARGETS[model][mode][amx]
        met = "stretch" if faster >= stretch else "yes" if faster >= must else "MISSED"
        line = key_of(cell) + f"{best[4]:<19}{faster:>7.2f}x{must:>6}{stretch:>8}  {met:<8}"
        pytorch = [float(p[11]) for p in peers if p[4].startswith("torch")]
        if mode == "train" and pytorch:  # against the PyTorch that needs least
            limit = MEMORY.get(model, 0.6)
            line += f"{max(pytorch):>7.2f}{limit:>6}  {'yes' if max(pytorch) <= limit else 'MISSED'}"
        lines.append(line.rstrip())
    return lines


def merged(old, new, words):
    """Lines by their first words: those of new in place of old ones; models, modes and batches in order."""
    lines = {tuple(line.split()[:words]): line for line in old + new}
    order = lambda key: (MODELS.index(key[0]), key[1] != "train", *key[2:4])  # whatever follows stays in order
    return [lines[key] for key in sorted(lines, key=order)]


def tables_of(block, heads):
    """The lines below each of the heads in a block of text."""
    tables = {head: [] for head in heads}
    current = None
    for line in block.splitlines():
        if line.startswith("model "):
            current = tables.get(line.rstrip())
        elif current is not None and line.split() and line.split()[0] in MODELS:
            current.append(line)
    return tables


def block_of(machine, best, rows, counts):
    return "\n".join([f"{machine}.", "", "```text", BEST_HEAD, *best, "```", "", "```text", ROW_HEAD, *rows, "```", "",
                      "```text", COUNT_HEAD, *counts, "```"])


def replace_block(path, name, make):
    """make(what is between the two comments that `name` marks) takes its place in the file."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    text = path.read_text()
    found = re.search(re.escape(begin) + "(.*?)" + re.escape(end), text, re.S)
    if not found:
        raise SystemExit(f"{path}: add the lines\n{begin}{end}where the table of this machine shall stand")
    path.write_text(text[: found.start(1)] + make(found.group(1)) + "\n" + text[found.end(1) :])


def write(path, machine, rows, counts, amx):
    def make(old):
        tables = tables_of(old, [ROW_HEAD, COUNT_HEAD])
        all_rows, all_counts = merged(tables[ROW_HEAD], rows, 5), merged(tables[COUNT_HEAD], counts, 4)
        return block_of(machine, best_rows(all_rows, amx), all_rows, all_counts)

    replace_block(path, f"compare.py on {machine}", make)
