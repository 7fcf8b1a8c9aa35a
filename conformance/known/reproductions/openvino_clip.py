"""OpenVINO: clip bounds what the gates read, but not what the activation h reads."""

import numpy as np
import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, float[1,1,1] h0, float[1,1,1] c0) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {0, 0, 0, 0}, float[1,4,1] r = {0, 0, 0, 0}>
{ y, h, c = LSTM <hidden_size=1, clip=1.0> (x, w, r, "", "", h0, c0) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")}
FEEDS |= {"h0": np.array([[[0.5]]], "f4"), "c0": np.array([[[40.0]]], "f4")}


def run():
    model = onnx.parser.parse_model(MODEL)
    compiled = ov.compile_model(ov.Core().read_model(model.SerializeToString()), "CPU")
    return [array.copy() for array in compiled(list(FEEDS.values())).to_tuple()]


h, c = run()[1:]  # Every gate is 0.5, the candidate 0, and so c is 40 / 8 = 5.
print("c:", float(c.item()), "h:", float(h.item()))
clipped = bool(h < 0.5 * np.tanh(1.01))
print("h reads a cell state within the clip of 1:", clipped)
raise SystemExit(0 if clipped else 1)  # 1: it still happens
