"""BlockLSTM in float16: rounding errors grow with the number of inputs; those of tf.linalg.matmul do not."""

import numpy as np
import tensorflow as tf

UNITS, ROWS = 16, 16
random = np.random.default_rng(0)
zero, peephole = tf.zeros((ROWS, UNITS), tf.float16), tf.zeros(UNITS, tf.float16)
ratios = []
for inputs in (8, 128, 512):
    x = random.standard_normal((ROWS, inputs)).astype(np.float16)
    w = (random.standard_normal((inputs, 4 * UNITS)) / inputs**0.5).astype(np.float16)
    got = tf.raw_ops.BlockLSTM(
        seq_len_max=np.int64(1), x=x[None], cs_prev=zero, h_prev=zero, wci=peephole, wcf=peephole, wco=peephole,
        w=np.concatenate([w, np.zeros((UNITS, 4 * UNITS), np.float16)]), b=np.zeros(4 * UNITS, np.float16),
        forget_bias=0.0, cell_clip=0.0, use_peephole=False,
    ).ci[0].numpy()  # fmt: skip
    candidate = w[:, UNITS : 2 * UNITS]
    exact = np.tanh(x.astype(float) @ candidate.astype(float))
    expected = np.tanh(tf.linalg.matmul(x, candidate).numpy().astype(float)).astype(np.float16)
    error, usual = (np.sqrt(np.mean((found - exact) ** 2)) for found in (got, expected))
    ratios.append(error / usual)
    print(f"{inputs} inputs: error of the candidate gate: expected about {usual:.1e}, as with matmul, got {error:.1e}")
print("errors are less than 4 times as large:", bool(ratios[-1] < 4))
raise SystemExit(0 if ratios[-1] < 4 else 1)  # 1: it still happens
