"""keras.layers.LSTM on JAX: NaN in a masked step leaves the output finite, but makes every gradient NaN."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
mask = np.array([[True, True, False]])
layer = keras.layers.LSTM(4, return_sequences=True)
layer.build(x.shape)


def output(x):
    return layer.stateless_call(layer.trainable_variables, layer.non_trainable_variables, x, mask=mask)[0]


gradient = jax.grad(lambda x: output(x)[:, :2].sum())(x)
print("output is finite:", bool(np.isfinite(output(x)).all()))
print("gradient of the valid steps is finite:", bool(np.isfinite(gradient[:, :2]).all()))
raise SystemExit(0 if np.isfinite(gradient[:, :2]).all() else 1)  # 1: it still happens
