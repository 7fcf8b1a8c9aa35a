"""keras.layers.Bidirectional on JAX: the code around cuDNN, with lstm_ref as the kernel, equals the CPU's."""

import importlib
import os
from unittest import mock

os.environ["KERAS_BACKEND"] = "jax"

import jax.experimental.rnn as kernels
import keras
import numpy as np


def lstm(x, h_0, c_0, weights, lengths, dropout, **sizes):
    return kernels.lstm_ref(
        x, h_0, c_0, *kernels.unpack_lstm_weights(weights, **sizes), lengths, dropout=dropout, **sizes
    )


backward = keras.layers.LSTM(5, return_sequences=True, go_backwards=True)
layer = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), backward_layer=backward)
x = np.random.default_rng(0).normal(size=(1, 3, 2)).astype("float32")
on_cpu = np.asarray(layer(x))
rnn = importlib.import_module("keras.src.backend.jax.rnn")
with mock.patch.object(rnn, "_is_gpu_available", return_value=True), mock.patch.object(kernels, "lstm", lstm):
    on_gpu = np.asarray(layer(x))
print("difference, forward:", abs(on_gpu - on_cpu)[..., :4].max(), "backward:", abs(on_gpu - on_cpu)[..., 4:].max())
same = np.allclose(on_gpu, on_cpu, atol=1e-5)
print("as on the CPU:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
