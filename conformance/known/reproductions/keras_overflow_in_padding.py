"""keras.layers.LSTM on TensorFlow: an overflow in a masked step makes the second derivatives of valid steps NaN."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

x = tf.constant([[[1.0], [3e4]]], tf.float16)
mask = tf.constant([[True, False]])  # The last step is padding.
layer = keras.layers.LSTM(1, dtype="float16")
layer.build(x.shape)
kernel = layer.cell.kernel.value
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        total = tf.reduce_sum(layer(x, mask=mask))
    gradient = inner.gradient(total, kernel)
    along = tf.reduce_sum(3 * gradient)  # The direction times the padding, 9e4, exceeds the largest float16, 65504.
product = outer.gradient(along, kernel).numpy()

print("gradient is finite:", bool(np.isfinite(gradient.numpy()).all()))
print("gradient along a direction is finite:", bool(np.isfinite(product).all()))
raise SystemExit(0 if np.isfinite(product).all() else 1)  # 1: it still happens
