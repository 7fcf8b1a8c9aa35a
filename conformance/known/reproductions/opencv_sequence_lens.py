"""OpenCV's ONNX importer: sequence_lens is ignored."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,1,1] x, int32[1] lens, float[1,1,1] h0, float[1,1,1] c0)
    => (float[3,1,1,1] y, float[1,1,1] h, float[1,1,1] c)
<float[1,4,1] w = {-0.7, 0.7, 0.5, -0.5}, float[1,4,1] r = {0.9, 0.9, -0.9, -0.8},
 float[1,8] b = {-0.5, 0.1, -0.3, 0.2, 0.3, -0.9, -1.0, 0.7}>
{ y, h, c = LSTM <hidden_size=1> (x, w, r, b, %s, h0, c0) }
"""
FEEDS = {"x": np.array([[[0.5]], [[-1.0]], [[2.0]]], "f4"), "lens": np.array([1], "i4")}
FEEDS |= {"h0": np.array([[[0.5]]], "f4"), "c0": np.array([[[-0.7]]], "f4")}


def run(lens):
    model = onnx.parser.parse_model(MODEL % lens)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    for name, array in FEEDS.items():
        net.setInput(array, name)
    return net.forward(["y", "h", "c"])


changed = not np.array_equal(run('""')[0], run("lens")[0])
print("sequence_lens=1 of 3 steps changes the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens
