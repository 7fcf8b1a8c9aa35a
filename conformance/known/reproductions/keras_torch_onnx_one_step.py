"""Keras on PyTorch: a model exported to ONNX with any number of steps returns only the first one."""

import os
import tempfile

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import onnxruntime as ort

x = keras.Input((None, 4))
model = keras.Model(x, keras.layers.LSTM(5, return_sequences=True)(x))
given = np.random.default_rng(1).standard_normal((3, 6, 4)).astype("f4")
expected = model.predict(given, verbose=0)
with tempfile.TemporaryDirectory() as folder:
    file = f"{folder}/model.onnx"
    model.export(file, format="onnx", verbose=False)
    session = ort.InferenceSession(file)
read = session.get_inputs()[0]
got = session.run(None, {read.name: given})[0]
print("input declared as", read.shape)
print("expected shape:", expected.shape)
print("got shape:     ", got.shape)
print("got the first step:", np.allclose(got, expected[:, :1], atol=1e-5))
print("all steps are returned:", got.shape == expected.shape)
raise SystemExit(got.shape != expected.shape)  # 1: it still happens
