"""Keras on OpenVINO: an LSTM without time steps raises, and without rows it ends the process."""

import os

os.environ["KERAS_BACKEND"] = "openvino"
import keras
import numpy as np

right = []
for rows, steps in ((3, 0), (0, 6)):
    if os.fork() == 0:
        layer = keras.layers.LSTM(5, return_sequences=True)
        try:
            output = layer(keras.ops.convert_to_tensor(np.zeros((rows, steps, 4), "float32")))
            shape = keras.ops.convert_to_numpy(output).shape
        except Exception as error:
            shape = str(error).splitlines()[0]
        print(shape)
        os._exit(0 if shape == (rows, steps, 5) else 1)
    right.append(os.wait()[1])
    print(f"{steps} steps of {rows} rows have results: {right[-1] == 0} (exit status {right[-1]})")
raise SystemExit(1 if any(right) else 0)  # 1: it still happens
