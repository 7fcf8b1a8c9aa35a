"""onnx.reference: a model that returns Y_c is refused."""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

MODEL = """
<ir_version: 9, opset_import: ["" : 19]>
lstm (float[3,1,1] x) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r) }
"""
model = onnx.parser.parse_model(MODEL)
onnx.checker.check_model(model)
print("ONNX's checker accepts the model: True")
try:
    ReferenceEvaluator(model).run(None, {"x": np.ones((3, 1, 1), "f4")})
    print("the evaluator returns Y_c: True")
except RuntimeError as error:
    print("the evaluator returns Y_c: False:", str(error).partition(" in ")[0])
    raise SystemExit(1) from None  # 1: it still happens
