"""tf.compat.v1.nn.dynamic_rnn: NaN after sequence_length leaves the output finite, but makes every gradient NaN."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras  # noqa: F401 - TensorFlow takes LSTMCell from it.

x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
inputs = tf.constant(x)
cell = tf.compat.v1.nn.rnn_cell.LSTMCell(4)
with tf.GradientTape() as tape:
    tape.watch(inputs)
    output, _ = tf.compat.v1.nn.dynamic_rnn(cell, inputs, sequence_length=[2], dtype=tf.float32)
    total = tf.reduce_sum(output)
gradient = tape.gradient(total, inputs).numpy()

print("output is finite:", bool(np.isfinite(output.numpy()).all()))
print("gradient of the valid steps is finite:", bool(np.isfinite(gradient[:, :2]).all()))
raise SystemExit(0 if np.isfinite(gradient[:, :2]).all() else 1)  # 1: it still happens
