"""OpenVINO's ONNX front end: layout=1 is ignored. The first axis of X is taken as time."""

import numpy as np
import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,2,1] x) => (float[3,2,1,1] y, float h, float c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1, layout=1> (x, w, r) }
"""
FEEDS = {"x": np.array([[[0.5], [1.0]], [[-1.0], [0.3]], [[2.0], [0.1]]], "f4")}


def run():
    model = onnx.parser.parse_model(MODEL)
    compiled = ov.compile_model(ov.Core().read_model(model.SerializeToString()), "CPU")
    return [array.copy() for array in compiled(list(FEEDS.values())).to_tuple()]


shape = run()[0].shape
print("shape of Y:", shape)
print("Y is (batch, time, direction, hidden):", shape == (3, 2, 1, 1))
raise SystemExit(0 if shape == (3, 2, 1, 1) else 1)  # 1: it still happens
