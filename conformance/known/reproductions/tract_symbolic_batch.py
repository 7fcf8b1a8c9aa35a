"""tract: an LSTM with a symbolic batch size and without initial states ends the process."""

import os
import tempfile

import onnx
import tract

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,N,1] x) => (float[3,1,N,1] y, float[1,N,1] h, float[1,N,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r) }
"""

with tempfile.TemporaryDirectory() as folder:
    onnx.save(onnx.parser.parse_model(MODEL), f"{folder}/model.onnx")
    model = tract.onnx().load(f"{folder}/model.onnx")
child = os.fork()
if child == 0:
    model.into_model()
    os._exit(0)
_, status = os.waitpid(child, 0)

print("the process survives:", status == 0, f"(signal {os.WTERMSIG(status)})")
raise SystemExit(0 if status == 0 else 1)  # 1: it still happens
