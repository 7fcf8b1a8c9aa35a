"""onnxruntime: after quantize_dynamic, NaN in a padded step changes the result of the valid steps."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import quantize_dynamic

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[2,2,2] x, int32[2] lengths) => (float[1,2,1] h)
<float[1,4,2] w = {1, 1, 1, 1, 1, 1, 1, 1}, float[1,4,1] r = {1, 1, 1, 1}>
{ y, h = LSTM <hidden_size=1> (x, w, r, , lengths) }
"""

with tempfile.TemporaryDirectory() as folder:
    quantize_dynamic(onnx.parser.parse_model(MODEL), path := Path(folder, "quantized.onnx"))
    session = ort.InferenceSession(path)
lengths = np.array([1, 2], np.int32)
x = np.full((2, 2, 2), 0.1, np.float32)
x[0, 0] = 0.5  # Larger than all elements after the NaN.
inputs = [x.copy(), x.copy()]
for array, padding in zip(inputs, (0, np.nan), strict=True):
    array[1, 0] = padding
h, of_nan = (session.run(None, {"x": array, "lengths": lengths})[0].ravel() for array in inputs)
print("h of rows with 1 and 2 steps, padded with 0:", h, "with NaN:", of_nan)
print("padding changes nothing:", np.array_equal(h, of_nan))
raise SystemExit(0 if np.array_equal(h, of_nan) else 1)  # 1: it still happens
