"""OpenCV's ONNX importer reads P in the order i, f, o instead of i, o, f: the peephole of o changes c."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[1,1,1] x, float[1,1,1] h0, float[1,1,1] c0) => (float[1,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8},
 float[1,8] b = {-0.5, 0.1, -0.3, 0.2, 0.3, -0.9, -1.0, 0.7},
 float[1,3] p = {0.0, 1.0, 0.0}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, b, "", h0, c0%s) }
"""
FEEDS = {"x": np.array([[[0.5]]], "f4")}
FEEDS |= {"h0": np.array([[[0.5]]], "f4"), "c0": np.array([[[-0.7]]], "f4")}


def run(peepholes):
    model = onnx.parser.parse_model(MODEL % peepholes)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    for name, array in FEEDS.items():
        net.setInput(array, name)
    return net.forward(["y", "h", "c"])


same = np.array_equal(run("")[2], run(", p")[2])
print("the output gate's peephole does not change the cell state of one step:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
