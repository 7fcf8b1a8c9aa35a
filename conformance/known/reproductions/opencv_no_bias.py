"""OpenCV's ONNX importer: an LSTM with initial states and without B raises."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, float[1,1,1] h0, float[1,1,1] c0) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, "", "", h0, c0) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")}
FEEDS |= {"h0": np.array([[[0.5]]], "f4"), "c0": np.array([[[-0.7]]], "f4")}


def run():
    model = onnx.parser.parse_model(MODEL)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    for name, array in FEEDS.items():
        net.setInput(array, name)
    return net.forward(["y", "h", "c"])


try:
    run()
except cv2.error as error:
    print(error, "\nan LSTM without B runs:", False)
    raise SystemExit(1) from None  # It still happens.
