"""mindspore.nn.LSTM 2.7 and 2.8 on the CPU: a batch without rows runs, and cannot be differentiated."""

import mindspore

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(4, 5)
x, state = mindspore.ops.zeros((6, 0, 4)), mindspore.ops.zeros((1, 0, 5))


def loss(x, h_0, c_0):
    return layer(x, (h_0, c_0))[0].sum()


print("output:", layer(x, (state, state.copy()))[0].asnumpy().shape)
try:
    gradients = mindspore.grad(loss, (0, 1, 2))(x, state, state.copy())
    print("gradients:", *(gradient.asnumpy().shape for gradient in gradients))
except RuntimeError as error:
    print("gradients:", str(error).splitlines()[0])
    raise SystemExit(1) from None  # 1: it still happens
