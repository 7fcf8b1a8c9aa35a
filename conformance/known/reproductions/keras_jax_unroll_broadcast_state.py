"""Keras on JAX, unrolled: an initial state of one row or one unit is broadcast instead of refused."""

import os

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

layer = keras.layers.LSTM(5, return_state=True, unroll=True)
x, h_0, c_0 = np.ones((3, 6, 4), "float32"), np.ones((3, 5), "float32"), np.ones((3, 5), "float32")
accepted = []
for name, state in {
    "h_0 of one row": [h_0[:1], c_0],
    "c_0 of one row": [h_0, c_0[:1]],
    "c_0 of one unit": [h_0, c_0[:, :1]],
}.items():
    try:
        output = layer(x, initial_state=[keras.ops.convert_to_tensor(array) for array in state])[0]
        print(f"{name}, for a batch of 3 and 5 units, is refused: False, output {tuple(output.shape)}")
        accepted.append(name)
    except Exception as error:
        print(f"{name} is refused: True, {error}")
raise SystemExit(1 if accepted else 0)  # 1: it still happens
