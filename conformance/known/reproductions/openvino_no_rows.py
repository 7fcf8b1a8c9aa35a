"""OpenVINO: compiling a bidirectional LSTM without rows ends the process."""

import os

import onnx
import openvino as ov

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[2,0,1] x) => (float[2,2,0,1] y, float[2,0,1] h, float[2,0,1] c)
<float[2,4,1] w = {-0.7, 0.7, 0.5, -0.5, -0.7, 0.7, 0.5, -0.5},
 float[2,4,1] r = {0.9, 0.9, -0.9, -0.8, 0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1, direction="bidirectional"> (x, w, r) }
"""

child = os.fork()
if child == 0:
    model = ov.Core().read_model(onnx.parser.parse_model(MODEL).SerializeToString())
    ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    os._exit(0)
_, status = os.waitpid(child, 0)

print("the process survives:", status == 0, f"(signal {os.WTERMSIG(status)})")
raise SystemExit(0 if status == 0 else 1)  # 1: it still happens
