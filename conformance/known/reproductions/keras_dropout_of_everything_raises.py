"""keras.layers.LSTM on TensorFlow: raises with dropout=1, a fraction that the documentation allows."""

import keras
import numpy as np

x = np.ones((1, 3, 2), "float32")
layer = keras.layers.LSTM(4, dropout=1.0)
print("expected: an output that does not depend on the input")
try:
    print("got:", np.asarray(layer(x, training=True))[0])
except ValueError as error:
    print("got:", error)
    raise SystemExit(1) from None  # 1: it still happens
