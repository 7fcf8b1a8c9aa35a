"""tf.raw_ops.BlockLSTMV2: its gradient by the input differs from finite differences; BlockLSTM's does not."""

import numpy as np
import tensorflow as tf

T, B, I, H = 3, 2, 2, 3
rng = np.random.default_rng(0)
x, w, b, h, c = (rng.standard_normal(s).astype("float32") for s in [(T, B, I), (I + H, 4 * H), 4 * H, (B, H), (B, H)])
peephole = tf.zeros(H)


def total(op, x, **options):
    steps = tf.constant(T, tf.int64)
    ran = op(steps, x, c, h, w, peephole, peephole, peephole, b, use_peephole=False, **options)
    return tf.reduce_sum(ran.h * tf.range(1.0, 1.0 + H))


wrong = {}
for op, options in ((tf.raw_ops.BlockLSTM, {"forget_bias": 0, "cell_clip": -1}), (tf.raw_ops.BlockLSTMV2, {})):
    op, inputs = (lambda *a, op=op, **o: op(**dict(zip(NAMES, a)), **o)), tf.constant(x)
    NAMES = ("seq_len_max", "x", "cs_prev", "h_prev", "w", "wci", "wcf", "wco", "b")
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = total(op, inputs, **options)
    step = np.zeros_like(x)
    step[0, 0, 0] = 0.01
    difference = (total(op, x + step, **options) - total(op, x - step, **options)) / 0.02
    wrong[len(options)] = abs(float(tape.gradient(result, inputs)[0, 0, 0] - difference))
    print(f"off by {wrong[len(options)]:.2g}: as finite differences:", wrong[len(options)] < 1e-3)
raise SystemExit(1 if wrong[0] > 1e-3 else 0)  # 1: it still happens
