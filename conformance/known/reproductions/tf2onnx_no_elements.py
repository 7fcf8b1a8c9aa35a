"""tf2onnx: a Keras LSTM without steps returns zeros as its states, and without rows it ends the process."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import onnxruntime as ort
import tensorflow as tf
import tf2onnx

layer = keras.layers.LSTM(5, return_state=True)
signature = [tf.TensorSpec(s, tf.float32, n) for n, s in {"x": (None, None, 4), "h": (None, 5), "c": (None, 5)}.items()]
function = tf.function(lambda x, h, c: layer(x, initial_state=[h, c])[1], autograph=False)
model, _ = tf2onnx.convert.from_function(function, input_signature=signature)
statuses = []
for rows, steps in ((3, 0), (0, 6)):
    if os.fork() == 0:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        state = np.full((rows, 5), 0.75, "f4")
        [h] = session.run(None, {"x": np.ones((rows, steps, 4), "f4"), "h": state, "c": state})
        os._exit(0 if np.array_equal(h, state) else 1)
    statuses.append(os.wait()[1])
    print(f"{steps} steps of {rows} rows return the initial state: {statuses[-1] == 0} (exit status {statuses[-1]})")
raise SystemExit(1 if any(statuses) else 0)  # 1: it still happens
