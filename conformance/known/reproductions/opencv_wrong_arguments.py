"""OpenCV's ONNX importer: an LSTM accepts a float64 input and wrong lengths."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[3,2,4] x, int32[2] lens, float[1,2,5] h0, float[1,2,5] c0)
    => (float[3,1,2,5] y, float[1,2,5] h, float[1,2,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, b, lens, h0, c0) }
"""
model = onnx.parser.parse_model(MODEL)
for name, shape in {"w": (1, 20, 4), "r": (1, 20, 5), "b": (1, 40)}.items():
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
right = {"x": np.ones((3, 2, 4), "f4"), "lens": np.array([3, 1], "i4")}
right |= dict.fromkeys(("h0", "c0"), np.ones((1, 2, 5), "f4"))
wrong = [{"x": right["x"].astype("f8")}, {"lens": np.array([4, 1], "i4")}, {"lens": np.array([-1, 1], "i4")}]
for number, change in enumerate(list(wrong)):
    for name, array in (right | change).items():
        net.setInput(array, name)
    try:
        net.forward(["y", "h", "c"])
        print(*change, *(each.dtype for each in change.values()), "is refused: False")
    except cv2.error as error:
        print(*change, "is refused: True,", error)
        wrong[number] = None
raise SystemExit(1 if any(wrong) else 0)  # 1: it still happens
