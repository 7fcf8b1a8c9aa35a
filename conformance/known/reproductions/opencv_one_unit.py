"""OpenCV's ONNX importer: with one row, an initial cell state of one unit is broadcast to all units."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,4] x, float[1,1,5] h0, float[1,1,5] c0) => (float[3,1,1,5] y, float[1,1,5] h, float[1,1,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, b, "", h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (1, 20, 4), "r": (1, 20, 5), "b": (1, 40)}.items():
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
refused = False
for name, shape in {"x": (3, 1, 4), "h0": (1, 1, 5), "c0": (1, 1, 1)}.items():
    net.setInput(np.ones(shape, "f4"), name)
try:
    net.forward(["y", "h", "c"])
except cv2.error as error:
    refused = True
    print(error)
print("c0 of shape (1, 1, 1) for 5 units is refused:", refused)
raise SystemExit(0 if refused else 1)  # 1: it still happens
