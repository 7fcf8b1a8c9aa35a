"""keras.layers.LSTM: drops nothing with dropout=1, the documented "fraction of the units to drop"."""

import keras
import numpy as np

x = np.ones((1, 3, 2), "float32")
found = {}
for fraction in (0.0, 0.99, 1.0):
    layer = keras.layers.LSTM(4, dropout=fraction, seed=1, kernel_initializer="ones")
    found[fraction] = np.asarray(layer(x, training=True))[0]
    print(f"dropout={fraction}, the last output in training:", found[fraction])

same = np.allclose(found[0.99], found[1.0])  # With 0.99 and this seed, both features are dropped.
print("dropout=1 equals dropping both features:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
