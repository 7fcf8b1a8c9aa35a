"""keras.layers.RNN around StackedRNNCells of one cell raises with a mask. With two cells, it runs."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

x = np.ones((1, 4, 2), "float32")
mask = np.array([[True, True, True, False]])
raised = {}
for count in (2, 1):
    layer = keras.layers.RNN(keras.layers.StackedRNNCells([keras.layers.LSTMCell(3) for _ in range(count)]))
    try:
        layer(x, mask=mask)
    except (IndexError, TypeError, ValueError) as error:
        raised[count] = [line for line in str(error).splitlines() if line][:2][-1]
    print(f"{count} cells run:", count not in raised, raised.get(count, ""))
raise SystemExit(1 if 1 in raised else 0)  # 1: it still happens
