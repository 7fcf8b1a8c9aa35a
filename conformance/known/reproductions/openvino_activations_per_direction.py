"""OpenVINO's ONNX front end: activations of the second direction are ignored."""

import numpy as np
import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,2,1,1] y, float[2,1,1] h, float[2,1,1] c)
<float[2,4,1] w = {1, 1, 1, 1, 1, 1, 1, 1}, float[2,4,1] r = {1, 1, 1, 1, 1, 1, 1, 1}>
{ y, h, c = LSTM <hidden_size=1, direction="bidirectional",
  activations=["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "%s"]> (x, w, r) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")}


def run(last):
    model = onnx.parser.parse_model(MODEL % last)
    compiled = ov.compile_model(ov.Core().read_model(model.SerializeToString()), "CPU")
    return [array.copy() for array in compiled(list(FEEDS.values())).to_tuple()]


changed = not np.array_equal(run("Tanh")[0], run("Relu")[0])
print("other activations in the second direction change the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens
