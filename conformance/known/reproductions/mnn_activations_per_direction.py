"""MNN's ONNX converter: activations of the second direction are ignored."""

import tempfile

import _tools
import MNN
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,2,1,1] y, float[2,1,1] h, float[2,1,1] c)
<float[2,4,1] w = {1, 1, 1, 1, 1, 1, 1, 1}, float[2,4,1] r = {1, 1, 1, 1, 1, 1, 1, 1}>
{ y, h, c = LSTM <hidden_size=1, direction="bidirectional",
  activations=["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "%s"]> (x, w, r) }
"""
X = np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")


def run(last):
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(onnx.parser.parse_model(MODEL % last), f"{folder}/onnx")
        _tools.mnnconvert(f"_ -f ONNX --modelFile {folder}/onnx --MNNModel {folder}/mnn".split())
        module = MNN.nn.load_module_from_file(f"{folder}/mnn", ["x"], ["y", "h", "c"])
    y, _, _ = module.forward([MNN.expr.const(X, X.shape, MNN.expr.NCHW)])
    return np.array(y.read())


print("other activations in the second direction change the output:", changed := np.any(run("Tanh") != run("Relu")))
raise SystemExit(0 if changed else 1)  # 1: it still happens
