"""onnx.reference: an LSTM without time steps raises."""

import numpy as np
import onnx
import onnx.reference

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[0,1,1] x) => (float[0,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r) }
"""

evaluator = onnx.reference.ReferenceEvaluator(onnx.parser.parse_model(MODEL))
print("expected: an output of shape (0, 1, 1, 1), and states of zeros")
try:
    print("got:", evaluator.run(None, {"x": np.zeros((0, 1, 1), "f4")}))
except ValueError as error:
    print("a result: False, raised:", error)
    raise SystemExit(1) from None  # 1: it still happens
