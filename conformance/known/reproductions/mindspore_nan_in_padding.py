"""mindspore.nn.LSTM on the CPU: NaN beyond a row's length leaves the output finite, but makes the gradients NaN."""

import mindspore
import numpy as np

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(2, 4, batch_first=True)
x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
length = mindspore.Tensor([2], mindspore.int32)
state = (mindspore.ops.zeros((1, 1, 4), mindspore.float32),) * 2
gradient_of = mindspore.grad(lambda x: layer(x, state, length)[0][:, :2].sum())
output = layer(mindspore.Tensor(x), state, length)[0].asnumpy()
gradient = gradient_of(mindspore.Tensor(x)).asnumpy()[:, :2]

print("output is finite:", bool(np.isfinite(output).all()))
print("gradient of the valid steps is finite:", bool(np.isfinite(gradient).all()))
raise SystemExit(0 if np.isfinite(gradient).all() else 1)  # 1: it still happens
