"""tf_keras.layers.LSTM: NaN in a masked step leaves the output finite, but makes every gradient NaN."""

import numpy as np
import tensorflow as tf
import tf_keras as keras

x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
mask = tf.constant([[True, True, False]])
layer = keras.layers.LSTM(4, return_sequences=True)
inputs = tf.constant(x)
with tf.GradientTape() as tape:
    tape.watch(inputs)
    output = layer(inputs, mask=mask)
    total = tf.reduce_sum(output[:, :2])
gradient = tape.gradient(total, inputs).numpy()

print("output is finite:", bool(np.isfinite(output.numpy()).all()))
print("gradient of the valid steps is finite:", bool(np.isfinite(gradient[:, :2]).all()))
raise SystemExit(0 if np.isfinite(gradient[:, :2]).all() else 1)  # 1: it still happens
