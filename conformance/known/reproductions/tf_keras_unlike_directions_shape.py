"""tf_keras.layers.Bidirectional declares twice the units of its forward layer, whatever its backward layer has."""

import numpy as np
import tf_keras as keras

forward, backward = keras.layers.LSTM(5), keras.layers.LSTM(3, go_backwards=True)
layer = keras.layers.Bidirectional(forward, backward_layer=backward)
x = np.zeros((2, 6, 4), "float32")
returned, declared = tuple(layer(x).shape), tuple(layer.compute_output_shape(x.shape))
print("returned:", returned, "declared:", declared)
raise SystemExit(0 if declared == returned else 1)  # 1: it still happens
