"""keras.layers.LSTM on PyTorch: unroll=True with go_backwards=True and a mask raises AttributeError."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

x = np.ones((1, 4, 2), "float32")
mask = np.array([[True, True, True, False]])
raised = {}
for unroll in (False, True):
    layer = keras.layers.LSTM(3, return_sequences=True, go_backwards=True, unroll=unroll)
    try:
        layer(x, mask=mask)
    except AttributeError as error:
        raised[unroll] = str(error).splitlines()[2]
    print(f"unroll={unroll} runs:", unroll not in raised, raised.get(unroll, ""))
raise SystemExit(1 if True in raised else 0)  # 1: it still happens
