"""Keras on TensorFlow: an LSTM without time steps raises."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import numpy as np

layer = keras.layers.LSTM(5, return_sequences=True, return_state=True)
print("expected: an output of shape (3, 0, 5), and states of zeros")
try:
    print("got:", [tuple(each.shape) for each in layer(np.zeros((3, 0, 4), "float32"))])
except Exception as error:
    print("a result: False, raised:", next(line for line in str(error).splitlines() if "index" in line))
    raise SystemExit(1) from None  # 1: it still happens
