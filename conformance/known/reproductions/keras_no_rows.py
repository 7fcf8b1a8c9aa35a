"""Keras on TensorFlow: an LSTM without rows raises an error about its biases."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import numpy as np

layer = keras.layers.LSTM(5, return_sequences=True, return_state=True)
print("expected: shapes (0, 6, 5), (0, 5) and (0, 5)")
try:
    print("got:", [tuple(each.shape) for each in layer(np.zeros((0, 6, 4), "float32"))])
except Exception as error:
    print("a result: False, raised:", next(line for line in str(error).splitlines() if "Biases" in line))
    raise SystemExit(1) from None  # 1: it still happens
