"""mindspore.Parameter.set_data accepts another shape, and mindspore.nn.LSTM runs with a transposed weight."""

import mindspore
import numpy as np

mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
layer = mindspore.nn.LSTM(1, 2)
x = mindspore.ops.ones((3, 1, 1), mindspore.float32)
weight = layer.w_hh_list[0]
values = np.arange(16, dtype="float32").reshape(8, 2) / 10
weight.set_data(mindspore.Tensor(values))
print("correct weight:", weight.shape, layer(x)[0].asnumpy()[-1, 0])
try:
    weight.set_data(mindspore.Tensor(values.T.copy()))
    print("transposed weight:", weight.shape, layer(x)[0].asnumpy()[-1, 0])
except (RuntimeError, ValueError) as error:
    print("transposed weight:", str(error).splitlines()[0])
    raise SystemExit(0) from None
raise SystemExit(1)  # 1: it still happens
