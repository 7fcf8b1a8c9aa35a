"""tf.raw_ops.BlockLSTM: gradients flow through a cell state that cell_clip has clipped."""

import numpy as np
import tensorflow as tf

x = tf.ones((1, 1, 1))
zero = tf.zeros(1)
with tf.GradientTape() as tape:
    tape.watch(x)
    # One step and one unit: c = f c' + i g is about 1.7, clipped to 0.5.
    cell_state = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(1, tf.int64), x=x, cs_prev=2 * tf.ones((1, 1)), h_prev=tf.zeros((1, 1)),
        w=tf.ones((2, 4)), wci=zero, wcf=zero, wco=zero, b=tf.zeros(4),
        forget_bias=0, cell_clip=0.5, use_peephole=False,
    ).cs  # fmt: skip
gradient = float(tape.gradient(cell_state, x)[0, 0, 0])

print("cell state:", float(cell_state[0, 0, 0]), "gradient by x:", gradient)
print("gradient of a clipped cell state is 0:", bool(np.isclose(gradient, 0)))
raise SystemExit(0 if np.isclose(gradient, 0) else 1)  # 1: it still happens
