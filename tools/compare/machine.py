"""The machine, and where things are."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEGBENCH = ROOT / "build/release/bin/segbench"
CPUINFO = pathlib.Path("/proc/cpuinfo").read_text()
AMX = "amx_tile" in CPUINFO
SIZES = {"segnet": "360x480", "fcn8s_vgg16": "375x500"}  # of photos; the others: 513x513


def size_of(model):
    return SIZES.get(model, "513x513")


def machine_text(threads=os.cpu_count()):
    cpu = next(line.split(":")[1].strip() for line in CPUINFO.splitlines() if line.startswith("model name"))
    return f"{cpu} ({'AMX' if AMX else 'no AMX'}), {threads} threads"


def model_settings(model, batch):
    """What both sides need to compute the same: no dropout, and an image pooling that one photo can train."""
    settings = ["model.options.dropout=0"]
    if model.startswith("deeplab") and batch == 1:  # a map of one pixel has no variance
        settings.append('model.options.image_pooling="unnormalised"')
    return settings
