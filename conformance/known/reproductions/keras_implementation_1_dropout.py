"""keras.layers.LSTM with dropout and implementation=1 raises in training; with the default implementation it runs."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

x = np.ones((1, 3, 2), "float32")
raised = {}
for implementation in (2, 1):
    layer = keras.layers.LSTM(4, dropout=0.5, implementation=implementation)
    try:
        layer(x, training=True)
    except Exception as error:
        raised[implementation] = f"{type(error).__name__}: {[line for line in str(error).splitlines() if line][:2][-1]}"
    print(f"implementation={implementation} runs:", implementation not in raised, raised.get(implementation, ""))
raise SystemExit(1 if 1 in raised else 0)  # 1: it still happens
