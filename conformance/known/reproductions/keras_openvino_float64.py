"""keras.layers.LSTM on OpenVINO: dtype="float64" gives float64 arrays with float32 precision."""

import os

os.environ["KERAS_BACKEND"] = "openvino"

import keras
import numpy as np

x = np.full((1, 1), 0.3)
layer = keras.layers.LSTM(1, kernel_initializer="ones", unit_forget_bias=False, dtype="float64")
output = keras.ops.convert_to_numpy(layer(x[None]))
c = np.tanh(0.3) / (1 + np.exp(-0.3))
expected = np.tanh(c) / (1 + np.exp(-0.3))

off = abs(output.item() - expected)
print(
    "ops.matmul of float64 is",
    keras.ops.matmul(*2 * [keras.ops.convert_to_tensor(x)]).dtype,
    "- output is",
    output.dtype,
)
print(f"off by {off:.1g}: as precise as float64:", off < 1e-14)
raise SystemExit(0 if off < 1e-14 else 1)  # 1: it still happens
