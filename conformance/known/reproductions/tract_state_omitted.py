"""tract: an LSTM without initial states raises for a batch of more than one row."""

import tempfile

import numpy as np
import onnx
import tract

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,2,1] x) => (float[3,1,2,1] y, float[1,2,1] h, float[1,2,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r) }
"""
X = np.ones((3, 2, 1), "f4")

with tempfile.TemporaryDirectory() as folder:
    onnx.save(onnx.parser.parse_model(MODEL), f"{folder}/model.onnx")
    model = tract.onnx().load(f"{folder}/model.onnx")
try:
    model.into_model().into_runnable().run([X])
    raised = ""
except tract.TractError as error:
    raised = str(error).partition("\n\nStack")[0]

print("the model runs:", not raised, raised)
raise SystemExit(1 if raised else 0)  # 1: it still happens
