"""MXNet: on a CPU, state_clip_min and state_clip_max are ignored."""

import mxnet as mx
import numpy as np

layer = mx.gluon.rnn.LSTM(5, input_size=4, state_clip_min=-0.1, state_clip_max=0.1)
layer.initialize()
_, (h, c) = layer(mx.nd.ones((6, 3, 4)), [mx.nd.ones((1, 3, 5)), mx.nd.ones((1, 3, 5))])
largest = np.abs(c.asnumpy()).max()
print("largest cell state with clips of 0.1:", largest, "clipped:", largest <= 0.1001)
raise SystemExit(0 if largest <= 0.1001 else 1)  # 1: it still happens
