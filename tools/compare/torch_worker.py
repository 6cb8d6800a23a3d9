"""torch_worker.py ENGINE MODEL MODE BATCH STEP: loads what `segbench --write-step STEP` wrote, computes the same, and says
how well both agree; then does one run for every line of standard input, and prints its ms. ENGINE: torch, torch-nhwc
(channels last), the same with -compile after it; `export` only writes STEP.onnx. Ends with a line of JSON: peak memory,
agreement, number of parameters, GFLOP."""
import os
import sys

import torch
from safetensors import safe_open
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from networks import network
from paced import pixels_elsewhere, serve

LR, MOMENTUM = 1e-6, 0.9


def load(model, mode, batch, path):
    """The network with the weights of the step, its photos {N, C, H, W}, and what else the file has but parameters. Weights
    are read one by one, so that no second copy counts as PyTorch's memory."""
    net = network(model, batch)
    wanted = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    with safe_open(path, "pt") as file:
        weights = {name for name in file.keys() if "." in name and not name.startswith("gradient.")}
        if weights != set(wanted):
            raise SystemExit(f"one side alone has the parameters {', '.join(weights ^ set(wanted))}")
        for name, value in wanted.items():
            given = file.get_tensor(name)
            if given.shape != value.shape:
                raise SystemExit(f"{name} is {tuple(given.shape)}, not {tuple(value.shape)}")
            value.copy_(given)
        step = {name: file.get_tensor(name).clone() for name in file.keys() if "." not in name}
    net.train(mode == "train")
    return net, step["image"].permute(0, 3, 1, 2).contiguous(), step


def counts(model, mode, batch, image_shape):
    """Parameters, and the GFLOP of convolutions as PyTorch counts them, on shapes alone."""
    with torch.device("meta"):
        net, image = network(model, batch).train(mode == "train"), torch.empty(image_shape)
        with FlopCounterMode(display=False) as counter:
            scores = net(image)
            if mode == "train":
                scores.sum().backward()
    return {"parameters": sum(p.numel() for p in net.parameters()), "gflop": counter.get_total_flops() * 1e-9}


def gradient_difference(path, net):
    """The difference of all gradients taken as one vector, relative to their size. (One by one would not do: a bias before
    batch norm has the gradient 0, and rounding.)"""
    square = lambda tensor: float(tensor.square().sum())
    apart = size = 0
    with safe_open(path, "pt") as file:
        for name, parameter in net.named_parameters():
            apart += square(parameter.grad - file.get_tensor("gradient." + name))
            size += square(parameter.grad)
    return (apart / size) ** 0.5


def inference(call, image, step):
    with torch.inference_mode():
        scores = call(image)

    def run():
        with torch.inference_mode():
            call(image).argmax(1)

    return run, {"pixels_elsewhere": pixels_elsewhere(scores.numpy(), step)}


def training(net, call, image, step, path):
    labels = step["labels"][..., 0].long()
    optimizer = torch.optim.SGD(net.parameters(), LR, MOMENTUM)

    def forward_and_back():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(call(image), labels, ignore_index=255)
        loss.backward()
        return loss

    loss, wanted = forward_and_back().item(), float(step["loss"])
    agrees = {"loss": abs(loss - wanted) / abs(loss), "gradient": gradient_difference(path, net)}

    def run():
        forward_and_back()
        optimizer.step()

    return run, agrees


def main(engine, model, mode, batch, path):
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    net, image, step = load(model, mode, int(batch), path)
    if engine == "export":
        return torch.onnx.export(net, (image,), path + ".onnx", input_names=["image"], output_names=["scores"],
                                 dynamo=False)
    said = counts(model, mode, int(batch), image.shape)
    if "nhwc" in engine:
        net, image = net.to(memory_format=torch.channels_last), image.contiguous(memory_format=torch.channels_last)
    call = torch.compile(net) if "compile" in engine else net
    run, agrees = inference(call, image, step) if mode == "infer" else training(net, call, image, step, path)
    serve(run, said | agrees)


main(*sys.argv[1:])
