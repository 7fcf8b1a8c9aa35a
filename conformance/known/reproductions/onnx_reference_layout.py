"""onnx.reference: a model with layout=1 raises."""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

MODEL = """
<ir_version: 9, opset_import: ["" : 19]>
lstm (float[2,3,1] x) => (float[2,3,1,1] y, float[2,1,1] h)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h = LSTM <hidden_size=1, layout=1> (x, w, r) }
"""
model = onnx.parser.parse_model(MODEL)
onnx.checker.check_model(model)
print("ONNX's checker accepts the model: True")
try:
    ReferenceEvaluator(model).run(None, {"x": np.ones((2, 3, 1), "f4")})
    print("the evaluator runs it: True")
except ValueError as error:
    print("the evaluator runs it: False:", error)
    raise SystemExit(1) from None  # 1: it still happens
