#!/usr/bin/env python3
"""tflite_test.py SOURCE BIN: small DeepLabs are written as Google's TF-Lite files, with random weights, run in PyTorch,
converted by tools/convert/tflite_deeplab.py, and must get the same probabilities from segpredict; what is not such a
network is refused. Skipped (77) without torch, tflite, safetensors and Pillow."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import flatbuffers
    import numpy as np
    import safetensors
    import tflite
    import torch
    import torch.nn.functional as F
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

SOURCE, BIN = map(pathlib.Path, sys.argv[1:3])
CONVERT = SOURCE / "tools/convert/tflite_deeplab.py"
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class Writer:
    """A TF-Lite file; every operator that is added is also computed, on NCHW tensors."""

    def __init__(self, image):
        self.tensors, self.operators = [], []
        self.values = {self.tensor("image", image.permute(0, 2, 3, 1).shape): image}
        torch.manual_seed(1)

    def tensor(self, name, shape, data=None):
        self.tensors.append((name, list(shape), data))
        return len(self.tensors) - 1

    def add(self, kind, inputs, value, options=None):
        out = self.tensor(f"{kind.lower()}_{len(self.tensors)}", value.permute(0, 2, 3, 1).shape)
        self.operators.append((kind, inputs, out, options))
        self.values[out] = value
        return out

    def conv(self, x, out, act, kernel=1, stride=1, rate=1, depthwise=False, batched=False):
        """batched: the dilation is written as SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND around a dense convolution."""
        ins = 1 if depthwise else self.values[x].shape[1]
        weight = torch.randn(out, ins, kernel, kernel) * (2 / (ins * kernel * kernel)) ** 0.5
        bias = 0.1 * torch.randn(out)
        value = F.conv2d(self.values[x], weight, bias, stride, rate * (kernel // 2), rate, out if depthwise else 1)
        value = {"NONE": lambda v: v, "RELU": F.relu, "RELU6": F.relu6}[act](value)
        ours = weight.permute(1, 2, 3, 0) if depthwise else weight.permute(0, 2, 3, 1)
        parameters = [self.tensor("weights", ours.shape, ours.contiguous().numpy()),
                      self.tensor("bias", [out], bias.numpy())]
        name = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        fields = {"StrideH": stride, "StrideW": stride, "FusedActivationFunction": getattr(tflite.ActivationFunctionType, act)}
        blocks = self.tensor("blocks", [2], np.array([rate, rate], np.int32))
        if batched and rate > 1:
            x = self.add("SPACE_TO_BATCH_ND", [x, blocks, blocks], self.values[x])
        elif rate > 1:
            fields |= {"DilationHFactor": rate, "DilationWFactor": rate}
        if depthwise:
            fields["DepthMultiplier"] = 1
        y = self.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x] + parameters, value, (name, fields))
        return self.add("BATCH_TO_SPACE_ND", [y, blocks, blocks], value) if batched and rate > 1 else y

    def resize(self, x, size):
        shape = self.tensor("size", [2], np.array(size, np.int32))
        value = F.interpolate(self.values[x], size=size, mode="bilinear", align_corners=True)
        return self.add("RESIZE_BILINEAR", [x, shape], value)

    def save(self, path, scores):
        b = flatbuffers.Builder(1 << 20)

        def vector(offsets, start, size=4):
            start(b, len(offsets))
            for offset in reversed(offsets):
                b.PrependUOffsetTRelative(offset)
            return b.EndVector()

        kinds = sorted({kind for kind, *_ in self.operators})
        tensors, buffers, operators, codes = [], [], [], []
        for number, (name, shape, data) in enumerate(self.tensors):
            content = b.CreateByteVector(data.tobytes()) if data is not None else None
            tflite.BufferStart(b)
            if content is not None:
                tflite.BufferAddData(b, content)
            buffers.append(tflite.BufferEnd(b))
            label, extents = b.CreateString(name), b.CreateNumpyVector(np.array(shape, np.int32))
            tflite.TensorStart(b)
            tflite.TensorAddName(b, label)
            tflite.TensorAddShape(b, extents)
            tflite.TensorAddBuffer(b, number)
            integer = data is not None and data.dtype == np.int32
            tflite.TensorAddType(b, tflite.TensorType.INT32 if integer else tflite.TensorType.FLOAT32)
            tensors.append(tflite.TensorEnd(b))
        for kind, inputs, out, options in self.operators:
            sources, results = b.CreateNumpyVector(np.array(inputs, np.int32)), b.CreateNumpyVector(np.array([out], np.int32))
            table = None
            if options:
                getattr(tflite, options[0] + "Start")(b)
                for field, value in options[1].items():
                    getattr(tflite, f"{options[0]}Add{field}")(b, value)
                table = getattr(tflite, options[0] + "End")(b)
            tflite.OperatorStart(b)
            tflite.OperatorAddOpcodeIndex(b, kinds.index(kind))
            tflite.OperatorAddInputs(b, sources)
            tflite.OperatorAddOutputs(b, results)
            if table:
                tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options[0]))
                tflite.OperatorAddBuiltinOptions(b, table)
            operators.append(tflite.OperatorEnd(b))
        for kind in kinds:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, getattr(tflite.BuiltinOperator, kind))
            codes.append(tflite.OperatorCodeEnd(b))
        inputs, outputs = b.CreateNumpyVector(np.array([0], np.int32)), b.CreateNumpyVector(np.array([scores], np.int32))
        tensors = vector(tensors, tflite.SubGraphStartTensorsVector)
        operators = vector(operators, tflite.SubGraphStartOperatorsVector)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, operators)
        graphs = vector([tflite.SubGraphEnd(b)], tflite.ModelStartSubgraphsVector)
        codes, buffers = vector(codes, tflite.ModelStartOperatorCodesVector), vector(buffers, tflite.ModelStartBuffersVector)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        path.write_bytes(b.Output())


def rounded(channels, multiple):
    nearest = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return nearest + multiple if nearest < 0.9 * channels else nearest


def deeplab(image, width, multiple, rates, classes, output_stride, batched=False, activation="RELU6"):
    """Google's graph, and the tensor of its scores."""
    net = Writer(image)
    x = net.conv(0, rounded(32 * width, multiple), activation, 3, 2)
    stride, rate = 2, 1
    for expansion, channels, count, first in STAGES:
        for i in range(count):
            own = first if i == 0 else 1
            here = own if stride * own <= output_stride else 1
            before, out = net.values[x].shape[1], rounded(channels * width, multiple)
            y, hidden = x, before
            if expansion > 1:
                hidden = rounded(expansion * before, 8)
                y = net.conv(x, hidden, "RELU6")
            y = net.conv(y, hidden, "RELU6", 3, here, rate, True, batched)
            y = net.conv(y, out, "NONE")
            x = net.add("ADD", [y, x], net.values[x] + net.values[y]) if own == 1 and out == before else y
            stride, rate = stride * here, rate * own // here
    f = net.values[x]
    pooled = net.conv(net.add("AVERAGE_POOL_2D", [x], f.mean((2, 3), keepdim=True)), 32, "RELU")
    parts = [net.resize(pooled, f.shape[2:]), net.conv(x, 32, "RELU")]
    for atrous in rates:
        y = net.conv(x, f.shape[1], "RELU", 3, 1, atrous, True, batched)
        parts.append(net.conv(y, 32, "RELU"))
    y = net.add("CONCATENATION", parts, torch.cat([net.values[part] for part in parts], 1))
    y = net.conv(net.conv(y, 32, "RELU"), classes, "NONE")
    return net, net.resize(y, image.shape[2:])


def convert(folder, net, scores, output_stride, code=0):
    net.save(folder / "net.tflite", scores)
    done = subprocess.run([sys.executable, CONVERT, folder / "net.tflite", folder / "net.safetensors", "--output-stride",
                           str(output_stride)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    if code:
        return done.stderr
    with safetensors.safe_open(folder / "net.safetensors", "np") as file:
        return json.loads(file.metadata()["pixelwise.config"])["model"]["options"]


def agrees(folder, pixels, image, **network):
    net, scores = deeplab(image, **network)
    stride = network["output_stride"]
    options = convert(folder, net, scores, stride)
    assert options["width"] == network["width"] and options["rates"] == network["rates"], options
    Image.fromarray(pixels).save(folder / "photo.png")
    subprocess.run([BIN / "segpredict", folder / "photo.png", "--weights", folder / "net.safetensors", "--out",
                    folder / "out", "--probabilities"], check=True, stderr=subprocess.DEVNULL)
    wanted = net.values[scores].softmax(1)[0].permute(1, 2, 0).numpy()
    error = np.abs(np.load(folder / "out/photo.npy") - wanted).max()
    assert error < 1e-3, error
    print(f"{network}: probabilities differ by {error:.1e} at most, of {wanted.min():.3f} to {wanted.max():.3f}", flush=True)
    assert convert(folder, net, scores, 2 * stride)["rates"] == [rate // 2 for rate in network["rates"]]


def main():
    pixels = np.random.default_rng(1).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float() / 127.5 - 1
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        folder = pathlib.Path(scratch)
        agrees(folder, pixels, image, width=0.35, multiple=1, rates=[2, 4, 6], classes=21, output_stride=8, batched=True)
        agrees(folder, pixels, image, width=0.5, multiple=8, rates=[2], classes=3, output_stride=8)
        agrees(folder, pixels, image, width=1.0, multiple=8, rates=[], classes=5, output_stride=16)
        small = {"width": 0.5, "multiple": 1, "rates": [], "classes": 4, "output_stride": 8}
        message = convert(folder, *deeplab(image, **small, activation="RELU"), 16, code=3)
        assert "another activation than relu6" in message, message
        message = convert(folder, *deeplab(image, **small | {"rates": [3]}), 16, code=3)
        assert "not whole numbers" in message, message
        net, _ = deeplab(image, **small)
        message = convert(folder, net, net.operators[20][2], 16, code=3)  # a map inside the backbone as scores
        assert "not" in message, message
        whole = (folder / "net.tflite").read_bytes()
        for length in (0, 100, len(whole) // 2, len(whole) - 100):
            (folder / "cut.tflite").write_bytes(whole[:length])
            done = subprocess.run([sys.executable, CONVERT, folder / "cut.tflite", folder / "cut.safetensors"],
                                  capture_output=True, text=True)
            assert done.returncode == 3 and "cut.tflite: not" in done.stderr, (length, done.stderr)
            assert not (folder / "cut.safetensors").exists()
        print("refuses other networks and damaged files")


main()
