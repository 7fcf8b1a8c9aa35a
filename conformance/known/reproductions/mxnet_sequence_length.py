"""MXNet: on a CPU, use_sequence_length is ignored."""

import mxnet as mx
import numpy as np

layer = mx.gluon.rnn.LSTM(5, input_size=4, use_sequence_length=True)
layer.initialize()
x, states = mx.nd.ones((6, 3, 4)), layer.begin_state(3)
full, short = (layer(x, states, mx.nd.array(lengths))[0].asnumpy() for lengths in ([6, 6, 6], [6, 3, 1]))
changed = not np.array_equal(full, short)
print("lengths of 6, 3 and 1 instead of 6 change the output:", changed)
raise SystemExit(0 if changed else 1)  # 1: it still happens
