"""keras.layers.LSTM on OpenVINO: with dropout=1 it drops nothing if it has a mask, no biases or other activations."""

import os

os.environ["KERAS_BACKEND"] = "openvino"

import keras
import numpy as np

x = np.ones((1, 3, 2), "float32")
mask = np.array([[True, True, True]])
drops = {}
for name, options in (
    ("default", {}),
    ("mask", {}),
    ("no biases", {"use_bias": False}),
    ("relu", {"activation": "relu"}),
):
    last = []
    for dropout in (0.0, 1.0):
        options |= {"kernel_initializer": "ones", "recurrent_initializer": "zeros", "dropout": dropout}
        output = keras.layers.LSTM(1, **options)(x, mask=mask if name == "mask" else None, training=True)
        last.append(keras.ops.convert_to_numpy(output).item())
    drops[name] = last[0] != last[1]
    print(f"{name}: last output is {last[0]:.3g} without dropout, {last[1]:.3g} with dropout=1; drops: {drops[name]}")
raise SystemExit(0 if all(drops.values()) else 1)  # 1: it still happens
