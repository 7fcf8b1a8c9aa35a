"""OpenCV's ONNX importer: a model with sequence_lens as an input is refused."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, int32[1] lens, float[1,1,1] h0, float[1,1,1] c0) => (float[3,1,1,1] y)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8},
 float[1,8] b = {-0.5, 0.1, -0.3, 0.2, 0.3, -0.9, -1.0, 0.7}>
{ y = LSTM <hidden_size=1> (x, w, r, b, lens, h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
onnx.checker.check_model(model)
print("ONNX's checker accepts the model: True")
try:
    cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    print("OpenCV reads it: True")
except cv2.error as error:
    print("OpenCV reads it: False:", error.err)
    raise SystemExit(1) from None  # 1: it still happens
