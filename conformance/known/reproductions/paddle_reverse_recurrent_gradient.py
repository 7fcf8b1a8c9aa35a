"""paddle.nn.LSTM: the gradient of weight_hh_l0_reverse is wrong if rows are short and h_0 is not zero."""

import numpy as np
import paddle

paddle.set_default_dtype("float64")
random = np.random.default_rng(0)
layer = paddle.nn.LSTM(2, 3, direction="bidirect")
paddle.set_default_dtype("float32")
x, lengths = paddle.to_tensor(random.standard_normal((1, 4, 2))), paddle.to_tensor([2])
states = tuple(paddle.to_tensor(random.standard_normal((2, 1, 3))) for _ in "hc")
weight = layer.weight_hh_l0_reverse


def _total():
    return layer(x, states, lengths)[0].sum()


_total().backward()
gradient = weight.grad.numpy()
start, differences = weight.numpy().copy(), np.zeros(gradient.shape)
for index in np.ndindex(*differences.shape):
    step = np.zeros(start.shape)
    step[index] = 1e-5
    for sign in (1, -1):
        weight.set_value(start + sign * step)
        differences[index] += sign * float(_total()) / 2e-5
deviation = np.abs(gradient - differences).max()
print("the gradient equals finite differences:", bool(deviation < 1e-6), f"(off by {deviation:.2g})")
raise SystemExit(0 if deviation < 1e-6 else 1)  # 1: it still happens
