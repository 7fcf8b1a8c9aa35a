"""paddle.nn.LSTM: what eval() was called on cannot be differentiated."""

import paddle

x = paddle.ones([2, 5, 3])
x.stop_gradient = False
layer = paddle.nn.LSTM(3, 4)
layer(x)[0].sum().backward()
print("in training mode: True")
layer.eval()
try:
    layer(x)[0].sum().backward()
except RuntimeError as error:
    print(str(error).strip().splitlines()[0])
    print("in evaluation mode: False")
    raise SystemExit(1) from None  # It still happens.
print("in evaluation mode: True")
