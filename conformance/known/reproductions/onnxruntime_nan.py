"""onnxruntime: an LSTM with the input B returns numbers for NaN. Without B it returns NaN."""

import numpy as np
import onnx
import onnxruntime as ort

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[1,1,1] x) => (float[1,1,1,1] y)
<float[1,4,1] w = {1, 1, 1, 1}, float[1,4,1] r = {0, 0, 0, 0}, float[1,8] b = {0, 0, 0, 0, 0, 0, 0, 0}>
{ y = LSTM <hidden_size=1> (x, w, r%s) }
"""


def run(inputs):
    model = onnx.parser.parse_model(MODEL % inputs)
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": np.full((1, 1, 1), np.nan, "f4")})[0].item()


without, biased = run(""), run(", b")
print("without B:", without, "with B:", biased)
print("with B, NaN stays NaN:", bool(np.isnan(biased)))
raise SystemExit(0 if np.isnan(biased) else 1)  # 1: it still happens
