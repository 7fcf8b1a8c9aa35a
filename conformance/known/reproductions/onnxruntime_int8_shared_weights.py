"""onnxruntime: quantize_dynamic garbles the weights of two LSTM nodes that share their initializers."""

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
{
    y, one = LSTM <hidden_size=1> (x, w, r)
    z, other = LSTM <hidden_size=1> (x, w, r)
}
"""

exact = ort.InferenceSession(onnx.parser.parse_model(MODEL).SerializeToString())
with tempfile.TemporaryDirectory() as folder:
    quantize_dynamic(onnx.parser.parse_model(MODEL), path := Path(folder, "quantized.onnx"))
    session = ort.InferenceSession(path)
x = np.array([[[0.5, -1]], [[1, 2]]], np.float32)
expected, got = ([float(h.item()) for h in each.run(None, {"x": x})] for each in (exact, session))
print("expected about:", expected)
print("got:           ", got)
close = np.allclose(expected, got, atol=0.02)
print("the quantized model is close:", close)
raise SystemExit(0 if close else 1)  # 1: it still happens
