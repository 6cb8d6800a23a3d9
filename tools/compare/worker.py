"""worker.py ENGINE MODEL MODE BATCH STEP: loads what `segbench --write-step STEP` wrote, computes the same, and says how
well both agree; then does one run for every line of standard input, and prints its ms. ENGINE: torch, torch-nhwc,
torch-compile, onnxruntime, openvino. Ends with a line of JSON: peak memory, agreement."""
import json
import os
import resource
import sys
import time

import numpy as np
import torch
from safetensors.numpy import load_file
from torch.nn import functional as F

from networks import network

LR, MOMENTUM = 1e-6, 0.9
threads = int(os.environ["OMP_NUM_THREADS"])


def load(model, mode, batch, path):
    """The network with the weights of the step, its photos {N, C, H, W}, and all tensors of the file."""
    step = {name: torch.from_numpy(value) for name, value in load_file(path).items()}
    net = network(model, batch)
    weights = {name: value for name, value in step.items() if "." in name and not name.startswith("gradient.")}
    wanted = net.state_dict()
    weights.update({name: value for name, value in wanted.items() if name.endswith("num_batches_tracked")})
    net.load_state_dict(weights, strict=True)
    net.train(mode == "train")
    return net, step["image"].permute(0, 3, 1, 2).contiguous(), step


def agreement(step, scores, loss, net):
    """Training: the difference of the loss, and of all gradients taken as one vector, relative to their size. (One by one
    would not do: a bias before batch norm has the gradient 0, and rounding.) Inference: the share of pixels of another
    class."""
    if loss is None:
        return {"pixels_elsewhere": float(np.mean(scores.argmax(1) != step["prediction"][..., 0].numpy()))}
    ours = [step["gradient." + name] for name, _ in net.named_parameters()]
    theirs = [parameter.grad for parameter in net.parameters()]
    square = lambda tensors: sum(float(tensor.square().sum()) for tensor in tensors)
    apart = square([a - b for a, b in zip(ours, theirs)]) / square(theirs)
    return {"loss": abs(loss - float(step["loss"])) / abs(loss), "gradient": apart**0.5}


def torch_runs(engine, model, mode, batch, path):
    torch.set_num_threads(threads)
    net, image, step = load(model, mode, batch, path)
    if engine == "torch-nhwc":
        net, image = net.to(memory_format=torch.channels_last), image.contiguous(memory_format=torch.channels_last)
    call = torch.compile(net) if engine == "torch-compile" else net
    if mode == "infer":
        with torch.inference_mode():
            scores = call(image)

        def run():
            with torch.inference_mode():
                call(image).argmax(1)

        return run, agreement(step, scores.numpy(), None, net)
    labels = step["labels"][..., 0].long()
    optimizer = torch.optim.SGD(net.parameters(), LR, MOMENTUM)

    def forward_and_back():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(call(image), labels, ignore_index=255)
        loss.backward()
        return loss

    agrees = agreement(step, None, forward_and_back().item(), net)

    def run():
        forward_and_back()
        optimizer.step()

    return run, agrees


def onnx_runs(engine, model, batch, path):
    net, image, step = load(model, "infer", batch, path)
    file = path + ".onnx"
    torch.onnx.export(net, (image,), file, input_names=["image"], output_names=["scores"], dynamo=False)
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        infer = lambda: session.run(None, {"image": image.numpy()})[0]
    else:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
                    "INFERENCE_PRECISION_HINT": "f32"}
        request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()
        infer = lambda: request.infer([image.numpy()])[0]
    return lambda: infer().argmax(1), agreement(step, infer(), None, net)


def main(engine, model, mode, batch, path):
    run, agrees = (torch_runs(engine, model, mode, int(batch), path) if engine.startswith("torch") else
                   onnx_runs(engine, model, int(batch), path))
    run()  # warms up
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) * 1e3, flush=True)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rss_mb": rss, **agrees}), flush=True)


main(*sys.argv[1:])
