"""TensorFlow: forward mode through a traced keras.layers.LSTM raises once a gradient of the function was taken."""

import os

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
import keras
import tensorflow as tf

x = tf.reshape(tf.range(24.0), (2, 3, 4)) / 10
traced, other = (tf.function(keras.layers.LSTM(2)) for _ in range(2))


def differentiates(function):
    """Returns whether forward mode runs."""
    try:
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)):
            function(x)
    except TypeError as error:
        print(str(error).splitlines()[0])
        return False
    return True


print("forward mode runs:", differentiates(other))
with tf.GradientTape() as tape:
    y = traced(x)
tape.gradient(y, traced.get_concrete_function(x).variables)
correct = differentiates(traced)
print("forward mode runs after a gradient:", correct)
raise SystemExit(0 if correct else 1)  # 1: it still happens
