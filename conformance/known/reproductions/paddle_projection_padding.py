"""paddle.nn.LSTM: the output at padded steps is 0, except with proj_size."""

import numpy as np
import paddle

x = paddle.to_tensor(np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32"))
padding = {}
for size in (0, 2):
    layer = paddle.nn.LSTM(2, 4, proj_size=size)
    output, _ = layer(x, sequence_length=paddle.to_tensor([2]))  # The last step is padding.
    padding[size] = output.numpy()[0, 2]
    print(f"proj_size={size}, output at the padded step:", padding[size])

same = not padding[2].any()
print("both are 0:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
