"""OpenVINO: clip bounds the gates' arguments, but not the argument of activation h."""

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


h, c = run()[1:]  # Every gate is 0.5 and the candidate is 0, so that c is 40 / 8 = 5.
print("c:", float(c.item()), "h:", float(h.item()))
clipped = bool(h < 0.5 * np.tanh(1.01))
print("the argument of h is clipped to 1:", clipped)
raise SystemExit(0 if clipped else 1)  # 1: it still happens
