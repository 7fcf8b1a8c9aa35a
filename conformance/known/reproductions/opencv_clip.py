"""OpenCV's ONNX importer: clip is ignored."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x) => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8}>
{ y, h, c = LSTM <hidden_size=1%s> (x, w, r) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4")}


def run(options):
    model = onnx.parser.parse_model(MODEL % options)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    for name, array in FEEDS.items():
        net.setInput(array, name)
    return net.forward(["y", "h", "c"])


changed = not np.array_equal(run("")[0], run(", clip=0.1")[0])
print("clip changes the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens
