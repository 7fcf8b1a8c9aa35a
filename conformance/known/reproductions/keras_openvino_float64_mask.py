"""keras.layers.LSTM on OpenVINO: a float64 layer raises if it is called with a mask. A float32 layer runs."""

import os

os.environ["KERAS_BACKEND"] = "openvino"

import keras
import numpy as np

mask = np.array([[True, True, False]])
raised = {}
for dtype in ("float32", "float64"):
    layer = keras.layers.LSTM(3, return_sequences=True, recurrent_initializer="zeros", dtype=dtype)
    try:
        layer(np.ones((1, 3, 2), dtype), mask=mask)
    except RuntimeError as error:
        raised[dtype] = [line for line in str(error).splitlines() if "match" in line]
    print(f"{dtype} runs:", dtype not in raised, raised.get(dtype, ""))
raise SystemExit(1 if "float64" in raised else 0)  # 1: it still happens
