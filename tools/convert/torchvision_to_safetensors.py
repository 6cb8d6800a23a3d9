#!/usr/bin/env python3
"""Converts weights of torchvision (a state dict in a .pth file) to safetensors that --weights takes.

    pip install torch numpy safetensors
    tools/convert/torchvision_to_safetensors.py vgg16-397923af.pth vgg16.safetensors

VGG16 and VGG16-BN, ResNets, MobileNetV2: for the start of a training (`model.weights.load`: backbone, or for FCN on VGG16
matching, which takes the fully connected layers too). fcn_resnet50/101 and deeplabv3_resnet50/101: whole models, which
segpredict and segeval take as they are. Names and values stay torchvision's; the other way round, PyTorch's
load_state_dict takes `safetensors.torch.load_file` of a file of ours.
"""
import argparse
import json
import os
import sys

# torchvision's normalisation, in 8-bit pixels.
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
# The number of blocks of layer3 tells the depth of a ResNet that ends with bottlenecks.
DEPTHS = {6: 50, 23: 101}


class Refused(Exception):
    """The file is not what this program reads; the message says why."""


def state_dict_of(path):
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise Refused(f"not a file of weights that torch.load takes: {str(error).splitlines()[0]}") from error
    for key in ("state_dict", "model"):  # as training scripts save it
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise Refused("it holds no state dict: save model.state_dict()")
    return content


def kind_of(names):
    """What the network is, by the names of its tensors; a segmentation model by the name it has in Pixelwise."""
    if "backbone.layer3.0.conv3.weight" in names and ("classifier.4.weight" in names):
        blocks = 1 + max(int(name.split(".")[2]) for name in names if name.startswith("backbone.layer3."))
        if blocks in DEPTHS:
            head = "deeplabv3" if "classifier.0.project.0.weight" in names else "fcn"
            return f"{head}_resnet{DEPTHS[blocks]}"
    if "conv1.weight" in names and "layer1.0.conv1.weight" in names:
        return "ResNet"
    if "features.18.0.weight" in names:
        return "MobileNetV2"
    if "features.28.weight" in names or "features.40.weight" in names:
        return "VGG16"
    raise Refused(f"not VGG16, ResNet, MobileNetV2, fcn_resnet50/101 or deeplabv3_resnet50/101; its tensors begin with "
                  f"{', '.join(sorted(names)[:4])}")


def config_of(kind, tensors):
    """The configuration that lets segpredict run a segmentation model; nothing for a classifier."""
    if "_resnet" not in kind:
        return None
    classes = tensors["classifier.4.weight"].shape[0]
    auxiliary = "aux_classifier.4.weight" in tensors
    return {"model": {"name": kind, "classes": classes, "options": {"auxiliary": auxiliary},
                      "normalize": {"mean": MEAN, "std": STD}},
            "data": {"class_names": "voc" if classes == 21 else None}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="IN.pth")
    parser.add_argument("target", metavar="OUT.safetensors")
    arguments = parser.parse_args()
    try:
        tensors = state_dict_of(arguments.source)
        kind = kind_of(tensors)
        for name, values in tensors.items():
            if values.is_floating_point() and not values.isfinite().all():
                raise Refused(f"tensor '{name}' has a value that is not finite")
        config = config_of(kind, tensors)
        metadata = {"source": os.path.basename(arguments.source)}
        if config:
            metadata["pixelwise.config"] = json.dumps(config)
        whole = {name: values.clone().contiguous() for name, values in tensors.items()}
        safetensors.torch.save_file(whole, arguments.target + ".part", metadata)
        os.replace(arguments.target + ".part", arguments.target)
    except (Refused, OSError) as error:
        print(f"{arguments.source}: {error}", file=sys.stderr)
        return 3
    print(f"{arguments.target}: {kind}, {len(tensors)} tensors, {sum(v.numel() for v in tensors.values())} values")
    return 0


if __name__ == "__main__":
    try:
        import safetensors.torch
        import torch
    except ImportError as error:
        sys.exit(f"{error}: pip install torch numpy safetensors")
    sys.exit(main())
