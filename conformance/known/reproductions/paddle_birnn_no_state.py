"""paddle.nn.BiRNN of two cells with different hidden sizes runs without initial states, as it does with zeros."""

import paddle

cells = paddle.nn.LSTMCell(3, 5), paddle.nn.LSTMCell(3, 4)
layer = paddle.nn.BiRNN(*cells)
x = paddle.rand([2, 6, 3])
zeros = tuple((paddle.zeros([2, size]), paddle.zeros([2, size])) for size in (5, 4))
output, _ = layer(x, zeros)
print("output with zeros as initial states:", tuple(output.shape))
try:
    output, _ = layer(x)
except ValueError as error:
    print("without initial states:", str(error).splitlines()[-1][:200])
    raise SystemExit(1) from None  # 1: it still happens
print("output without initial states:", tuple(output.shape))
