"""OpenCV's ONNX importer: an LSTM without time steps or rows raises."""

import cv2
import numpy as np
import onnx

MODEL = """
<ir_version: 10, opset_import: ["" : 22]>
lstm (float[%d,%d,4] x) => (float[T,1,N,5] y, float[1,N,5] h, float[1,N,5] c)
{ y, h, c = LSTM <hidden_size=5> (x, w, r, b) }
"""
runs = []
for steps, rows in ((0, 3), (6, 0)):
    model = onnx.parser.parse_model(MODEL % (steps, rows))
    for name, shape in {"w": (1, 20, 4), "r": (1, 20, 5), "b": (1, 40)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(shape, 0.5, "f4"), name))
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    net.setInput(np.zeros((steps, rows, 4), "f4"), "x")
    try:
        net.forward(["y", "h", "c"])
        runs.append(True)
    except cv2.error as error:
        print(error)
        runs.append(False)
    print(f"{steps} steps of {rows} rows have results:", runs[-1])
raise SystemExit(0 if all(runs) else 1)  # 1: it still happens
