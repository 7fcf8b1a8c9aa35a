"""mlx.nn.LSTM on float64 arrays: its sigmoid is only as accurate as float32, as is mlx.core.exp."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

x = np.linspace(-4, 4, 81)
layer = nn.LSTM(1, 1)
one = np.ones((4, 1))
with mx.stream(mx.cpu):
    layer.update({name: mx.array(one, mx.float64) for name in ("Wx", "Wh")} | {"bias": mx.zeros(4, mx.float64)})
    output, _ = layer(mx.array(x.reshape(81, 1, 1), mx.float64))
    exponential = np.array(mx.exp(mx.array(x, mx.float64)))
gate = 1 / (1 + np.exp(-x))
expected = gate * np.tanh(gate * np.tanh(x))
error = np.abs(np.array(output).ravel() - expected).max()
print("relative error of mlx.core.exp:", np.abs(exponential / np.exp(x) - 1).max())
print(f"mlx.nn.LSTM gives {output.dtype}, off by {error}")
print("mlx.nn.LSTM is as accurate as float64:", bool(error < 1e-14))
raise SystemExit(0 if error < 1e-14 else 1)  # 1: it still happens
