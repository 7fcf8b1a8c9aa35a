"""OpenCV's ONNX importer: a bidirectional LSTM with peepholes raises."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, float[2,1,1] h0, float[2,1,1] c0) => (float[3,2,1,1] y, float[2,1,1] h, float[2,1,1] c)
<float[2,4,1] w = {1, 1, 1, 1, 1, 1, 1, 1}, float[2,4,1] r = {1, 1, 1, 1, 1, 1, 1, 1},
 float[2,8] b = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, float[2,3] p = {0.5, 0.1, -0.4, 0.3, 0.2, 0.6}>
{ y, h, c = LSTM <hidden_size=1, direction="bidirectional"> (x, w, r, b, "", h0, c0, p) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")}
FEEDS |= {"h0": np.array([[[0.5]], [[0.2]]], "f4"), "c0": np.array([[[-0.7]], [[0.6]]], "f4")}


def run():
    model = onnx.parser.parse_model(MODEL)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    for name, array in FEEDS.items():
        net.setInput(array, name)
    return net.forward(["y", "h", "c"])


try:
    run()
except cv2.error as error:
    print(error, "\na bidirectional LSTM with P runs:", False)
    raise SystemExit(1) from None  # It still happens.
