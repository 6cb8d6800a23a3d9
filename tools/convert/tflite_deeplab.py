#!/usr/bin/env python3
"""Converts Google's DeepLab v3 on MobileNetV2 from TF-Lite to safetensors that segpredict and segeval take as they are.

    pip install tflite numpy safetensors
    tools/convert/tflite_deeplab.py deeplabv3_257_mv_gpu.tflite deeplabv3.safetensors
    segpredict --weights deeplabv3.safetensors photo.jpg --out predicted

Any width, with or without atrous branches, float32. The network is recognised by its operators, not by their names, and
followed from the scores back to the image; what is not Google's graph is refused. Batch norm is folded in these files:
what is left of it is a bias. Atrous convolution gives the same weights any output stride (Chen et al. 2017, section
3.1); the default, 16, is that of the training.
"""
import argparse
import json
import os
import sys

STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class Refused(Exception):
    """The file is not what this program reads; the message says why."""


def rounded(channels, multiple):
    """The nearest multiple that is not more than 10% below: src/models/mobilenet_v2.cpp."""
    nearest = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return nearest + multiple if nearest < 0.9 * channels else nearest


class Graph:
    """The operators of a TF-Lite file, by the tensor that they write."""

    def __init__(self, data):
        if data[4:8] != b"TFL3":
            raise Refused("not a TF-Lite file")
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.kinds = {value: name for name, value in vars(tflite.BuiltinOperator).items() if name.isupper()}
        self.writer = {}
        for i in range(self.graph.OperatorsLength()):
            op = self.graph.Operators(i)
            for out in op.OutputsAsNumpy():
                self.writer[int(out)] = op
        self.scores = int(self.graph.Outputs(0))

    def kind(self, tensor):
        """The operator that writes the tensor, by name; 'INPUT' for the image."""
        if tensor not in self.writer:
            return "INPUT"
        code = self.model.OperatorCodes(self.writer[tensor].OpcodeIndex())
        return self.kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]

    def inputs(self, tensor):
        return [int(i) for i in self.writer[tensor].InputsAsNumpy()]

    def name(self, tensor):
        return self.graph.Tensors(tensor).Name().decode()

    def options(self, tensor, options):
        table = self.writer[tensor].BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def constant(self, tensor):
        info = self.graph.Tensors(tensor)
        types = {tflite.TensorType.FLOAT32: "<f4", tflite.TensorType.INT32: "<i4"}
        if info.Type() not in types:
            raise Refused(f"tensor '{self.name(tensor)}' is not float32: only the float models can be converted")
        values = self.model.Buffers(info.Buffer()).DataAsNumpy()
        if isinstance(values, int):
            raise Refused(f"tensor '{self.name(tensor)}' has no values")
        return values.tobytes(), np.dtype(types[info.Type()]), info.ShapeAsNumpy()

    def array(self, tensor):
        data, dtype, shape = self.constant(tensor)
        if len(data) != dtype.itemsize * int(np.prod(shape)):
            raise Refused(f"tensor '{self.name(tensor)}' has {len(data)} bytes, its shape {list(shape)} wants others")
        return np.frombuffer(data, dtype).reshape(shape)

    def want(self, tensor, *kinds):
        if self.kind(tensor) not in kinds:
            where = self.name(tensor)
            raise Refused(f"'{where}' is written by {self.kind(tensor)}, wanted {' or '.join(kinds)}: not Google's DeepLab")
        return tensor

    def behind(self, tensor, *kinds):
        """The tensor before the operators of these kinds that it comes out of."""
        while self.kind(tensor) in kinds:
            tensor = self.inputs(tensor)[0]
        return tensor


class Convolution:
    """A convolution, dense or depthwise, whose dilation may be written as a space-to-batch around it."""

    def __init__(self, graph, tensor, activation):
        dilation = 1
        tensor = graph.behind(tensor, "BATCH_TO_SPACE_ND")
        depthwise = graph.kind(graph.want(tensor, "CONV_2D", "DEPTHWISE_CONV_2D")) == "DEPTHWISE_CONV_2D"
        options = graph.options(tensor, tflite.DepthwiseConv2DOptions() if depthwise else tflite.Conv2DOptions())
        source, weight, bias = graph.inputs(tensor)
        if graph.kind(source) == "SPACE_TO_BATCH_ND":
            dilation = int(graph.array(graph.inputs(source)[1])[0])
            source = graph.inputs(source)[0]
        weight = graph.array(weight)
        activations = {"none": tflite.ActivationFunctionType.NONE, "relu": tflite.ActivationFunctionType.RELU,
                       "relu6": tflite.ActivationFunctionType.RELU6}
        if options.FusedActivationFunction() != activations[activation]:
            raise Refused(f"'{graph.name(tensor)}' has another activation than {activation}")
        self.name, self.source, self.depthwise = graph.name(tensor), source, depthwise
        self.stride, self.dilation = options.StrideH(), dilation * options.DilationHFactor()
        # O, H, W, I or 1, H, W, C in the file; PyTorch's order outside.
        self.weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        self.bias = graph.array(bias)
        self.channels, self.kernel = self.weight.shape[0], self.weight.shape[2]

    def check(self, kernel, depthwise):
        if self.kernel != kernel or self.depthwise != depthwise:
            kind = "depthwise" if depthwise else "dense"
            raise Refused(f"'{self.name}' is not a {kind} {kernel}x{kernel} convolution: not Google's DeepLab")
        return self


def backbone(graph, tensor):
    """Blocks (expand or None, depthwise, project, shortcut?) from the first to the last, and the first convolution."""
    blocks = []
    for _ in range(17):
        shortcut = graph.kind(tensor) == "ADD"
        project = depthwise = None
        for candidate in graph.inputs(tensor) if shortcut else [tensor]:
            if graph.kind(candidate) != "CONV_2D":
                continue
            project = Convolution(graph, candidate, "none").check(1, False)
            depthwise = Convolution(graph, project.source, "relu6").check(3, True)
            expand = None
            if len(blocks) < 16:
                expand = Convolution(graph, depthwise.source, "relu6").check(1, False)
            before = (expand or depthwise).source
            if not shortcut or before in graph.inputs(tensor):
                break
        else:
            raise Refused(f"'{graph.name(tensor)}' is no inverted residual: not MobileNetV2")
        blocks.append((expand, depthwise, project, shortcut))
        tensor = before
    return blocks[::-1], Convolution(graph, tensor, "relu6").check(3, False)


def check_backbone(blocks, first):
    """Width, multiple of the channels, and output stride; what does not follow from them is refused."""
    strides = [first.stride] + [depthwise.stride for _, depthwise, _, _ in blocks]
    output_stride = int(np.prod(strides))
    channels = [first.channels] + [project.channels for _, _, project, _ in blocks]
    width = channels[-1] / 320
    for multiple in (1, 8):
        wanted = [rounded(32 * width, multiple)]
        for _, out, count, _ in STAGES:
            wanted += count * [rounded(out * width, multiple)]
        if channels == wanted:
            break
    else:
        raise Refused(f"channels {channels} are those of no width of MobileNetV2")
    stride, dilation, index = first.stride, 1, 0
    for expansion, _, count, stage_stride in STAGES:
        for i in range(count):
            expand, depthwise, project, shortcut = blocks[index]
            before = channels[index]
            own = stage_stride if i == 0 else 1
            strides_here = own if stride * own <= output_stride else 1
            hidden = before if expansion == 1 else rounded(before * expansion, 8)
            given = (depthwise.stride, depthwise.dilation, depthwise.channels, shortcut)
            expected = (strides_here, dilation, hidden, own == 1 and before == project.channels)
            if given != expected:
                raise Refused(f"'{depthwise.name}': stride, dilation, channels, shortcut {given}, wanted {expected}")
            stride *= strides_here
            dilation *= own // strides_here
            index += 1
    return width, multiple, output_stride


def convert(graph, wanted_output_stride):
    tensors = {}

    def put(name, convolution):
        tensors[name + ".weight"], tensors[name + ".bias"] = convolution.weight, convolution.bias

    tensor = graph.behind(graph.scores, "RESIZE_BILINEAR", "ARG_MAX", "SOFTMAX", "CAST", "SQUEEZE", "RESHAPE")
    score = Convolution(graph, tensor, "none").check(1, False)
    project = Convolution(graph, score.source, "relu").check(1, False)
    parts = graph.inputs(graph.want(project.source, "CONCATENATION"))

    # The branches in the file's order; ours is: 1x1, atrous, pooled image.
    one_by_one = pooled = None
    atrous, slices, begin = [], [], 0
    for part in parts:
        branch = Convolution(graph, graph.behind(part, "RESIZE_BILINEAR"), "relu").check(1, False)
        below = graph.kind(branch.source)
        if below in ("AVERAGE_POOL_2D", "MEAN"):
            pooled, rank = branch, (2, 0)
            pooled_map = graph.inputs(branch.source)[0]
        elif below in ("DEPTHWISE_CONV_2D", "BATCH_TO_SPACE_ND"):
            depthwise = Convolution(graph, branch.source, "relu").check(3, True)
            if depthwise.dilation > 1:
                atrous.append((depthwise.dilation, depthwise, branch))
                rank = (1, depthwise.dilation)
            else:  # the backbone's own last block never ends so
                raise Refused(f"'{depthwise.name}' has rate 1: not Google's DeepLab")
        else:
            one_by_one, rank = branch, (0, 0)
        slices.append((rank, range(begin, begin + branch.channels)))
        begin += branch.channels
    if not one_by_one or not pooled or pooled_map != one_by_one.source:
        raise Refused("no 1x1 branch, or no branch of the pooled image, of the same map: not Google's DeepLab")
    order = [channel for _, channels in sorted(slices, key=lambda entry: entry[0]) for channel in channels]

    blocks, first = backbone(graph, one_by_one.source)
    width, multiple, output_stride = check_backbone(blocks, first)

    put("backbone.features.0.0", first)
    for i, (expand, depthwise, last, _) in enumerate(blocks):
        name, at = f"backbone.features.{i + 1}.conv", 0
        if expand:
            put(f"{name}.0.0", expand)
            at = 1
        put(f"{name}.{at}.0", depthwise)
        put(f"{name}.{at + 1}", last)
    put("classifier.0.convs.0.0", one_by_one)
    atrous.sort(key=lambda branch: branch[0])
    for i, (_, depthwise, pointwise) in enumerate(atrous):
        put(f"classifier.0.convs.{i + 1}.0", depthwise)
        put(f"classifier.0.convs.{i + 1}.3", pointwise)
    put(f"classifier.0.convs.{len(atrous) + 1}.1", pooled)
    project.weight = project.weight[:, order]
    put("classifier.0.project.0", project)
    put("classifier.1", score)

    rates = [rate * output_stride / wanted_output_stride for rate, _, _ in atrous]
    if any(rate != int(rate) for rate in rates):
        raise Refused(f"rates {rates} at output stride {wanted_output_stride} are not whole numbers")
    options = {"width": width, "channel_multiple": multiple, "output_stride": wanted_output_stride,
               "rates": [int(rate) for rate in rates], "separable": bool(rates), "head_channels": project.channels,
               "head_conv": False, "batch_norm": False, "align_corners": True}
    config = {"model": {"name": "deeplabv3_mobilenet_v2", "classes": score.channels, "options": options,
                        "normalize": {"mean": [127.5] * 3, "std": [127.5] * 3}},
              "data": {"class_names": "voc" if score.channels == 21 else None},
              "eval": {"protocol": "padded", "pad_to": [513, 513]}}
    return tensors, config


def read(data, output_stride):
    try:
        tensors, config = convert(Graph(data), output_stride)
    except Refused:
        raise
    except Exception as error:  # offsets of a damaged file lead anywhere
        raise Refused(f"not Google's DeepLab as a TF-Lite file, or a damaged one ({type(error).__name__}: {error})") from error
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise Refused(f"tensor '{name}' has a value that is not finite")
    return tensors, config


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="IN.tflite")
    parser.add_argument("target", metavar="OUT.safetensors")
    parser.add_argument("--output-stride", type=int, default=16, choices=(8, 16, 32))
    arguments = parser.parse_args()
    try:
        with open(arguments.source, "rb") as file:
            tensors, config = read(file.read(), arguments.output_stride)
        metadata = {"pixelwise.config": json.dumps(config), "source": os.path.basename(arguments.source)}
        whole = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        safetensors.numpy.save_file(whole, arguments.target + ".part", metadata)
        os.replace(arguments.target + ".part", arguments.target)
    except (Refused, OSError) as error:
        print(f"{arguments.source}: {error}", file=sys.stderr)
        return 3
    options = config["model"]["options"]
    print(f"{arguments.target}: {len(tensors)} tensors, {sum(t.size for t in tensors.values())} values; width "
          f"{options['width']}, {config['model']['classes']} classes, output stride {options['output_stride']}, "
          f"rates {options['rates']}")
    return 0


if __name__ == "__main__":
    try:
        import numpy as np
        import safetensors.numpy
        import tflite
    except ImportError as error:
        sys.exit(f"{error}: pip install tflite numpy safetensors")
    sys.exit(main())
