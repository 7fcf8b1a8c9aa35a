"""onnxruntime: an LSTM without rows ends the process."""

import os

import numpy as np
import onnx
import onnxruntime

MODEL = """
<ir_version: 8, opset_import: ["" : 14]>
lstm (float[2,N,1] x) => (float[2,1,N,1] y, float[1,N,1] h, float[1,N,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r) }
"""

child = os.fork()
if child == 0:
    model = onnx.parser.parse_model(MODEL).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.zeros((2, 0, 1), "f4")})
    os._exit(0)
_, status = os.waitpid(child, 0)

print("the process survives:", status == 0, f"(signal {os.WTERMSIG(status)})")
raise SystemExit(0 if status == 0 else 1)  # 1: it still happens
