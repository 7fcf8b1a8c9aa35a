"""onnxruntime: quantize_dynamic spoils two LSTM nodes that share their weights."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import quantize_dynamic

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[2,1,2] x) => (float[1,1,1] one, float[1,1,1] other)
<float[1,4,2] w = {1, -1, 0.5, 1, -0.5, 1, 1, 0.25}, float[1,4,1] r = {1, 1, 1, 1}>
{ y, one = LSTM <hidden_size=1> (x, w, r) z, other = LSTM <hidden_size=1> (x, w, r) }
"""
x = np.array([[[0.5, -1]], [[1, 2]]], np.float32)
expected = np.ravel(ort.InferenceSession(onnx.parser.parse_model(MODEL).SerializeToString()).run(None, {"x": x}))
print("expected, about:         ", expected)
with tempfile.TemporaryDirectory() as folder:
    quantize_dynamic(onnx.parser.parse_model(MODEL), path := Path(folder, "quantized.onnx"))
    got = np.ravel(ort.InferenceSession(path).run(None, {"x": x}))
    print("got:                     ", got, "is close:", bool(np.allclose(got, expected, atol=0.02)))
    quantize_dynamic(onnx.parser.parse_model(MODEL), path, per_channel=True)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
print("nodes if per_channel=True:", kinds)
raise SystemExit(not np.allclose(got, expected, atol=0.02) or "LSTM" in kinds)  # 1: it still happens
