"""keras.layers.LSTM on PyTorch: NaN in a masked step leaves the output finite, but makes every gradient NaN."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch

x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
inputs = torch.tensor(x, requires_grad=True)
layer = keras.layers.LSTM(4, return_sequences=True)
output = layer(inputs, mask=torch.tensor([[True, True, False]]))
[gradient] = torch.autograd.grad(output[:, :2].sum(), inputs)

print("output is finite:", bool(output.isfinite().all()))
print("gradient of the valid steps is finite:", bool(gradient[:, :2].isfinite().all()))
raise SystemExit(0 if gradient[:, :2].isfinite().all() else 1)  # 1: it still happens
