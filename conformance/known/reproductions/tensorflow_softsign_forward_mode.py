"""TensorFlow: softsign raises in forward mode, because its gradient, an operation of its own, has no gradient."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

x = tf.constant([0.5])
try:
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = tf.nn.softsign(x)
    derivative = accumulator.jvp(y).numpy().item()
except LookupError as error:
    print(error)
    derivative = None

print("softsign can be differentiated in forward mode:", derivative is not None)
raise SystemExit(0 if derivative is not None else 1)  # 1: it still happens
