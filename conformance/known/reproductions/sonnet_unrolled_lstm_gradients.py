"""sonnet.UnrolledLSTM: its gradient with respect to the input equals that of sonnet.LSTM with the same weights."""

import numpy as np
import sonnet
import tensorflow as tf

rng = np.random.default_rng(0)
x = tf.constant(rng.standard_normal((3, 2, 2)), tf.float32)


def init(*shape):
    array = tf.constant(rng.standard_normal(shape), tf.float32)
    return lambda *_: array


weights = {"w_i_init": init(2, 12), "w_h_init": init(3, 12), "b_init": init(12)}
outputs, gradients = [], []
for core in (sonnet.LSTM(3, **weights), sonnet.UnrolledLSTM(3, **weights)):
    with tf.GradientTape() as tape:
        tape.watch(x)
        state = core.initial_state(2)
        y, _ = sonnet.dynamic_unroll(core, x, state) if isinstance(core, sonnet.LSTM) else core(x, state)
    outputs.append(y)
    gradients.append(tape.gradient(y, x))

print("difference of the outputs:", float(tf.reduce_max(abs(outputs[0] - outputs[1]))))
print("difference of the gradients:", float(tf.reduce_max(abs(gradients[0] - gradients[1]))))
same = np.allclose(*gradients, atol=1e-4)
print("same gradients:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
