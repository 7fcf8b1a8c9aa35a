"""keras.layers.LSTM on PyTorch: with a mask, dtype="float64" gives float64 arrays with float32 precision."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

x = np.full((1, 1, 1), 0.3)
layer = keras.layers.LSTM(1, kernel_initializer="ones", unit_forget_bias=False, dtype="float64")
c = np.tanh(0.3) / (1 + np.exp(-0.3))
expected = np.tanh(c) / (1 + np.exp(-0.3))
off = {}
for mask in (None, np.array([[True]])):
    output = layer(x, mask=mask).detach().numpy()
    off[mask is not None] = abs(output.item() - expected)
    print(f"mask={mask}, output is {output.dtype}, off by {off[mask is not None]:.1g}")

product = keras.ops.matmul(*2 * [keras.ops.convert_to_tensor(x)])
print("ops.matmul of float64 is", product.dtype, "- as precise as float64:", off[True] < 1e-14)
raise SystemExit(0 if off[True] < 1e-14 else 1)  # 1: it still happens
