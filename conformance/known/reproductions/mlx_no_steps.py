"""mlx.nn.LSTM: a sequence without time steps raises."""

import mlx.core as mx
import mlx.nn as nn

layer, runs = nn.LSTM(4, 5), False
try:
    output, cells = layer(mx.zeros((3, 0, 4)))
    runs = output.shape == (3, 0, 5)
except ValueError as error:
    print(error)
print("an output of shape (3, 0, 5):", runs)
raise SystemExit(0 if runs else 1)  # 1: it still happens
