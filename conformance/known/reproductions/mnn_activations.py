"""MNN's ONNX converter: activations are ignored."""

import tempfile

import _tools
import MNN
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1%s> (x, w, r) }
"""
X = np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")


def run(options):
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(onnx.parser.parse_model(MODEL % options), f"{folder}/onnx")
        _tools.mnnconvert(f"_ -f ONNX --modelFile {folder}/onnx --MNNModel {folder}/mnn".split())
        module = MNN.nn.load_module_from_file(f"{folder}/mnn", ["x"], ["y", "h", "c"])
    y, _, _ = module.forward([MNN.expr.const(X, X.shape, MNN.expr.NCHW)])
    return np.array(y.read())


changed = not np.array_equal(run(""), run(', activations=["Sigmoid", "Relu", "Relu"]'))
print("the activations change the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens
