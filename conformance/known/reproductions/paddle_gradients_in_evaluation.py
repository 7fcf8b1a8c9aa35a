"""paddle.nn.LSTM: a layer in evaluation mode cannot be differentiated."""

import paddle

x = paddle.ones([2, 5, 3])
x.stop_gradient = False
layer = paddle.nn.LSTM(3, 4)
layer(x)[0].sum().backward()
print("training mode has gradients: True")
layer.eval()
try:
    layer(x)[0].sum().backward()
except RuntimeError as error:
    print(str(error).strip().splitlines()[0])
    print("evaluation mode has gradients: False")
    raise SystemExit(1) from None  # It still happens.
print("evaluation mode has gradients: True")
