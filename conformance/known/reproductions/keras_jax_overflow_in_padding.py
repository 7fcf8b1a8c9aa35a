"""keras.layers.LSTM on JAX: an overflow in a masked step makes the second derivatives of valid steps NaN."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

x = np.array([[[1.0], [3e4]]], np.float16)
mask = np.array([[True, False]])  # The last step is padding.
layer = keras.layers.LSTM(1, recurrent_initializer="ones", dtype="float16")
layer.build(x.shape)
kernel, *others = (variable.value for variable in layer.trainable_variables)


def total(kernel):
    return layer.stateless_call([kernel, *others], layer.non_trainable_variables, x, mask=mask)[0].sum()


gradient = jax.grad(total)


# The direction times the padding, 9e4, exceeds the largest float16, 65504.
product = jax.grad(lambda kernel: (3 * gradient(kernel)).sum())(kernel)
print("gradient is finite:", bool(np.isfinite(gradient(kernel)).all()))
print("gradient along a direction is finite:", bool(np.isfinite(product).all()))
raise SystemExit(0 if np.isfinite(product).all() else 1)  # 1: it still happens
