"""tf2onnx: NaN in a masked step reaches the output of an exported Keras LSTM. In TensorFlow it does not."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import onnxruntime as ort
import tensorflow as tf
import tf2onnx

layer = keras.layers.LSTM(1)
x, mask = np.array([[[1], [np.nan]]], "f4"), np.array([[True, False]])
in_tensorflow = layer(x, mask=mask).numpy().item()

signature = [tf.TensorSpec(x.shape, tf.float32, "x"), tf.TensorSpec(mask.shape, tf.bool, "mask")]
function = tf.function(lambda x, mask: layer(x, mask=mask), autograph=False)
model, _ = tf2onnx.convert.from_function(function, input_signature=signature)
session = ort.InferenceSession(model.SerializeToString())
exported = session.run(None, {"x": x, "mask": mask})[0].item()
print("in TensorFlow:", in_tensorflow, "exported:", exported)
raise SystemExit(0 if np.isfinite(exported) else 1)  # 1: it still happens
