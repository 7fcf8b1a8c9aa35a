"""mindspore.nn.LSTM on the CPU: seq_length changes the results of full rows: mindspore.ops.tanh is imprecise."""

import mindspore
import numpy as np

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(1, 1)
for parameter in layer.get_parameters():
    parameter.set_data(mindspore.ops.zeros_like(parameter))
    if parameter.name == "bias_ih_l0":  # Gates i and o are 1, f is 0, the candidate is tanh(4.8).
        parameter.set_data(mindspore.Tensor([20, -20, 4.8, 20], mindspore.float32))
x = mindspore.ops.zeros((1, 1, 1), mindspore.float32)
expected = np.tanh(np.tanh(4.8))
plain = float(layer(x, (x, x))[0].asnumpy().item())
masked = float(layer(x, (x, x), mindspore.Tensor([1], mindspore.int32))[0].asnumpy().item())
tanh = mindspore.ops.tanh(mindspore.Tensor([4.8], mindspore.float32)).asnumpy().item()
print(f"tanh(4.8) is off by {abs(tanh - np.tanh(4.8)):.2g}")
print("without seq_length, accurate to 1e-6:", abs(plain - expected) < 1e-6)
print("with seq_length, accurate to 1e-6:", abs(masked - expected) < 1e-6, f"(off by {abs(masked - expected):.2g})")
raise SystemExit(0 if abs(masked - expected) < 1e-6 else 1)  # 1: it still happens
