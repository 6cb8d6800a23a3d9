"""onnx_worker.py ENGINE MODEL MODE BATCH STEP: as torch_worker.py, for the engines that run STEP.onnx: onnxruntime,
openvino, mnn. PyTorch is not loaded here, so that it does not count as their memory."""
import os
import subprocess
import sys

from safetensors import safe_open

from paced import pixels_elsewhere, serve

threads = int(os.environ["OMP_NUM_THREADS"])


def onnxruntime(file):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def openvino(file):
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
                "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(file, "CPU", settings).create_infer_request()
    return lambda image: request.infer([image])[0]


def mnn(file):
    import MNN
    import numpy as np

    converter = os.path.join(os.path.dirname(sys.executable), "mnnconvert")
    subprocess.run([converter, "-f", "ONNX", "--modelFile", file, "--MNNModel", file + ".mnn"], check=True,
                   stdout=subprocess.DEVNULL)
    runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high", "numThread": threads},))
    net = MNN.nn.load_module_from_file(file + ".mnn", ["image"], ["scores"], runtime_manager=runtime)

    def infer(image):
        given = MNN.expr.const(np.ascontiguousarray(image), image.shape, MNN.expr.NCHW, MNN.expr.dtype.float)
        scores = net.forward([given])[0]
        return MNN.expr.convert(scores, MNN.expr.NCHW).read().reshape(len(image), -1, *image.shape[2:])

    return infer


def main(engine, _model, _mode, _batch, path):
    with safe_open(path, "np") as file:
        step = {name: file.get_tensor(name) for name in ("image", "prediction")}
    image = step["image"].transpose(0, 3, 1, 2).copy()
    infer = {"onnxruntime": onnxruntime, "openvino": openvino, "mnn": mnn}[engine](path + ".onnx")
    serve(lambda: infer(image).argmax(1), {"pixels_elsewhere": pixels_elsewhere(infer(image), step)})


main(*sys.argv[1:])
