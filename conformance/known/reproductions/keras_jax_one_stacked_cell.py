"""keras.layers.RNN around a StackedRNNCells of one cell on JAX: raises, with or without a mask. Two cells run."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

x = np.ones((1, 4, 2), "float32")
raised = {}
for count in (2, 1):
    layer = keras.layers.RNN(keras.layers.StackedRNNCells([keras.layers.LSTMCell(3) for _ in range(count)]))
    try:
        layer(x)
    except (IndexError, TypeError, ValueError) as error:
        raised[count] = [line for line in str(error).splitlines() if line][:2][-1]
    print(f"{count} cells run:", count not in raised, raised.get(count, ""))
raise SystemExit(1 if 1 in raised else 0)  # 1: it still happens
