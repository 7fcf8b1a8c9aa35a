"""OpenVINO: a model with an LSTM without time steps cannot be compiled."""

import numpy as np
import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[0,3,1] x, float[1,3,5] h0, float[1,3,5] c0) => (float[0,1,3,5] y, float[1,3,5] h, float[1,3,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, "", "", h0, c0) }
"""
parsed = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (1, 20, 1), "r": (1, 20, 5)}.items():
    parsed.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))

model = ov.Core().read_model(parsed.SerializeToString())
try:
    ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
except RuntimeError as error:
    print("the model is compiled: False,", error)
    raise SystemExit(1) from None  # 1: it still happens
print("the model is compiled: True")
