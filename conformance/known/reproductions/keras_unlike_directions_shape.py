"""keras.layers.Bidirectional declares twice the units of its forward layer, even if its backward layer has fewer."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

forward, backward = keras.layers.LSTM(5), keras.layers.LSTM(3, go_backwards=True)
layer = keras.layers.Bidirectional(forward, backward_layer=backward)
x = np.zeros((2, 6, 4), "float32")
returned, declared = tuple(layer(x).shape), tuple(layer.compute_output_shape(x.shape))
print("the declared shape is returned:", declared == returned, f"(declared {declared}, returned {returned})")
model = keras.Sequential([keras.Input((6, 4)), layer, keras.layers.Dense(1)])
try:
    print("shape of the model's results:", model.predict(x, verbose=0).shape)
except Exception as error:
    print("a Dense layer that follows raises:", str(error).strip().splitlines()[-1][:200])
raise SystemExit(0 if declared == returned else 1)  # 1: it still happens
