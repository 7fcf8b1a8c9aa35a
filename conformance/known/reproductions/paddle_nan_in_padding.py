"""paddle.nn.LSTM: NaN beyond a row's length makes its final state and the weights' gradients NaN."""

import numpy as np
import paddle

layer = paddle.nn.LSTM(2, 4)
x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
output, (h_n, _) = layer(paddle.to_tensor(x), sequence_length=paddle.to_tensor([2]))
output[:, :2].sum().backward()
gradient = layer.weight_ih_l0.grad.numpy()

print("output of the valid steps is finite:", bool(np.isfinite(output.numpy()[:, :2]).all()))
print("output of the padding is finite:", bool(np.isfinite(output.numpy()[:, 2]).all()))
print("final state is finite:", bool(np.isfinite(h_n.numpy()).all()))
print("gradient of the weights is finite:", bool(np.isfinite(gradient).all()))
raise SystemExit(0 if np.isfinite(h_n.numpy()).all() and np.isfinite(gradient).all() else 1)  # 1: it still happens
