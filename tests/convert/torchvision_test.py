#!/usr/bin/env python3
"""torchvision_test.py SOURCE BIN: torchvision's models with random weights through tools/convert and the tools, and back.

Whole models give PyTorch's probabilities; load_state_dict(strict=True) takes what a training of ours saved; a classifier's
file starts a backbone. Skipped (77) without torch, torchvision, safetensors and Pillow."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import safetensors.torch
    import torch
    from PIL import Image

    torch.library.register_fake = lambda *args, **kwargs: lambda function: function  # its compiled operators: not needed
    from torchvision import models
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

SOURCE, BIN = map(pathlib.Path, sys.argv[1:3])
CONVERT = SOURCE / "tools/convert/torchvision_to_safetensors.py"
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
TRAINING = {
    "data": {"format": "shapes", "train": "2", "val": "1", "size": [48, 40], "class_names": "shapes"},
    "augment": {"crop": [32, 32]}, "optimizer": {"lr": 0},
    "train": {"batch_size": 2, "max_steps": 1, "checkpoint_every_steps": 0}}


def run(*command, code=0):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == code, f"{command}: exit {done.returncode}, wanted {code}\n{done.stderr}"
    return done.stderr


def convert(folder, state, name="model"):
    torch.save(state, folder / f"{name}.pth")
    run(sys.executable, CONVERT, folder / f"{name}.pth", folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


def train(folder, weights, load, model, **options):
    """One step at a rate of 0: what is saved is what was loaded, but for batch norm's running statistics."""
    config = TRAINING | {"model": {"name": model, "classes": 7, "options": options,
                                   "weights": {"file": str(weights), "load": load}}}
    (folder / "config.json").write_text(json.dumps(config))
    report = run(BIN / "segtrain", "--config", folder / "config.json", "--run", folder / "run")
    return safetensors.torch.load_file(folder / "run/weights.safetensors"), report


def settle(model):
    """Running statistics as after a training, so that maps keep a sensible size."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(2, 3, 65, 65))
    return model.eval()


def same(ours, theirs, prefix=""):
    checked = 0
    for name, values in theirs.items():
        if prefix + name in ours and "running_" not in name:
            assert torch.equal(ours[prefix + name].reshape(values.shape), values), name
            checked += 1
    return checked


def whole_model(name, folder):
    model = settle(getattr(models.segmentation, name)(weights=None, weights_backbone=None, num_classes=7, aux_loss=True))
    weights = convert(folder, model.state_dict())
    pixels = np.random.default_rng(1).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    run(BIN / "segpredict", folder / "photo.png", "--weights", weights, "--out", folder / "out", "--probabilities")
    image = torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        wanted = model(image)["out"].softmax(1)[0].permute(1, 2, 0).numpy()
    error = np.abs(np.load(folder / "out/photo.npy") - wanted).max()
    assert error < 1e-3, error

    saved, report = train(folder, weights, "all", name, auxiliary=True)
    assert "0 missing, 0 unexpected, 0 of another shape" in report, report
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(saved, strict=True)
    assert same(saved, before) == len(list(model.parameters()))
    return f"{name}: probabilities differ by {error:.1e} at most, {len(saved)} tensors there and back"


def backbone(theirs, ours, folder, **options):
    state = getattr(models, theirs)().state_dict()
    state = {name: value for name, value in state.items() if not name.startswith("classifier.")}  # VGG16's have 500 MB
    saved, _ = train(folder, convert(folder, state), "backbone", ours, **options)
    checked = same(saved, state, "backbone.")
    wanted = sum(name.startswith("backbone.") and "running_" not in name for name in saved)
    assert checked == wanted > 0, (checked, wanted)
    return f"{theirs} starts {ours}: {checked} parameters"


def refusals(folder):
    state = {"features.18.0.weight": torch.full((2, 2), float("nan"))}
    torch.save(state, folder / "nan.pth")
    torch.save({"x": torch.zeros(1)}, folder / "other.pth")
    (folder / "cut.pth").write_bytes((folder / "other.pth").read_bytes()[:300])
    for name, words in (("nan", "features.18.0.weight"), ("other", "begin with x"), ("cut", "torch.load"), ("none", "none")):
        message = run(sys.executable, CONVERT, folder / f"{name}.pth", folder / "out.safetensors", code=3)
        assert words in message, message
        assert not (folder / "out.safetensors").exists()
    return "refuses NaN, other networks, damaged and absent files"


def main():
    torch.manual_seed(1)
    for test, *arguments in (
            (whole_model, "fcn_resnet50"), (whole_model, "deeplabv3_resnet50"), (backbone, "vgg16_bn", "segnet"),
            (backbone, "resnet18", "fcn_resnet18"), (backbone, "mobilenet_v2", "deeplabv3plus_mobilenet_v2"), (refusals,)):
        with tempfile.TemporaryDirectory() as folder:
            print(test(*arguments, pathlib.Path(folder)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print(backbone("vgg16", "fcn8s_vgg16", pathlib.Path(folder), fc_channels=16))


main()
