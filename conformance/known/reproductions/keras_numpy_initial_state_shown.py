"""keras.layers.LSTM on NumPy: the output of a masked first step is h_0. It is 0 with unroll=True and on TensorFlow."""

import os

os.environ["KERAS_BACKEND"] = "numpy"

import keras
import numpy as np

x = np.ones((1, 3, 2), "float32")
mask = np.array([[False, True, True]])
states = [np.full((1, 4), 0.7, "float32"), np.zeros((1, 4), "float32")]
first = {}
for unroll in (True, False):
    layer = keras.layers.LSTM(4, return_sequences=True, unroll=unroll)
    first[unroll] = np.asarray(layer(x, mask=mask, initial_state=states))[0, 0]
    print(f"unroll={unroll}, output of the first step:", first[unroll])

same = np.allclose(first[True], first[False])
print("unrolled equals not unrolled:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
