"""keras.layers.LSTM on PyTorch: drops nothing with dropout=1 and a mask. Without a mask it drops all."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

x = np.ones((1, 3, 2), "float32")
masks = {"no mask": None, "a mask": np.array([[True, True, True]])}
found = {}
for name, mask in masks.items():
    for dropout in (0.0, 1.0):
        layer = keras.layers.LSTM(4, dropout=dropout, kernel_initializer="ones", recurrent_initializer="zeros")
        found[name, dropout] = keras.ops.convert_to_numpy(layer(x, mask=mask, training=True))[0]
        print(f"{name}, dropout={dropout}, last output in training:", found[name, dropout])
dropped = not np.allclose(found["a mask", 0.0], found["a mask", 1.0])
print("with a mask, dropout=1 drops the input:", dropped)
raise SystemExit(0 if dropped else 1)  # 1: it still happens
