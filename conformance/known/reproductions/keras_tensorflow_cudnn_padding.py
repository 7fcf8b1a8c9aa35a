"""keras.layers.LSTM on TensorFlow with a mask: the output in the padding that the code around cuDNN returns."""

import importlib
import os
from unittest import mock

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf


def cudnn(**given):
    """Replaces the kernel. Returns ones, and zeros in the padding: according to Keras' code, cuDNN does so."""
    valid = tf.sequence_mask(given["sequence_lengths"], 3)[..., None]
    return tf.where(valid, tf.ones((1, 3, 4)), 0.0), tf.ones_like(given["input_h"]), given["input_c"], None, None


layer = keras.layers.LSTM(4, return_sequences=True)
x, mask = np.ones((1, 3, 2), "float32"), np.array([[True, True, False]])
on_cpu = np.asarray(layer(x, mask=mask))[0]
rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")
with mock.patch.object(rnn, "_is_gpu_available", return_value=True), mock.patch.object(tf.raw_ops, "CudnnRNNV3", cudnn):
    on_gpu = np.asarray(layer(x, mask=mask))[0]
repeats = [bool(np.array_equal(y[2], y[1])) for y in (on_cpu, on_gpu)]
print("the padding repeats the last output, on the CPU:", repeats[0], "on a GPU:", repeats[1])
raise SystemExit(0 if repeats[0] == repeats[1] else 1)  # 1: it still happens
