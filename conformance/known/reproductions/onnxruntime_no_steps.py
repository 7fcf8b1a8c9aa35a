"""onnxruntime: an LSTM without time steps returns the memory of an earlier call as its final states."""

import numpy as np
import onnx
import onnxruntime

MODEL = """
<ir_version: 8, opset_import: ["" : 14]>
lstm (float[T,3,1] x, float[1,3,5] h0, float[1,3,5] c0) => (float[T,1,3,5] y, float[1,3,5] h, float[1,3,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, "", "", h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (1, 20, 1), "r": (1, 20, 5)}.items():
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(steps, state):
    states = dict.fromkeys(("h0", "c0"), np.full((1, 3, 5), state, "f4"))
    return session.run(None, {"x": np.ones((steps, 3, 1), "f4"), **states})


for _ in range(4):
    run(9, 0.25)  # Its results are freed.
_, h, c = run(0, 0.75)
print("expected: 0.75, the initial state, or 0 in every element")
print("h_n:", np.unique(h), " c_n:", np.unique(c))
right = all(np.isin(state, [0, 0.75]).all() for state in (h, c))
print("as expected:", right)
raise SystemExit(0 if right else 1)  # 1: it still happens
