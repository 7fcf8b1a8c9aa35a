"""OpenVINO: an LSTM without time steps returns uninitialized memory as its final states."""

import numpy as np
import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[T,3,1] x, float[1,3,5] h0, float[1,3,5] c0) => (float[T,1,3,5] y, float[1,3,5] h, float[1,3,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, "", "", h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (1, 20, 1), "r": (1, 20, 5)}.items():
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
compiled = ov.compile_model(ov.Core().read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
request = compiled.create_infer_request()


def run(steps, state):
    states = [np.full((1, 3, 5), state, "f4")] * 2
    return [array.copy() for array in request.infer([np.ones((steps, 3, 1), "f4"), *states]).to_tuple()]


run(9, 0.25)
_, h, c = run(0, 0.75)
print("expected: 0.75, the initial state, or 0 in every element")
print("h_n:", np.unique(h), " c_n:", np.unique(c))
right = all(np.isin(state, [0, 0.75]).all() for state in (h, c))
print("as expected:", right)
raise SystemExit(0 if right else 1)  # 1: it still happens
