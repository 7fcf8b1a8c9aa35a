"""LiteRT: reset_all_variables does not reset the states of a converted Keras LSTM with stateful=True."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tempfile

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

layer = keras.layers.LSTM(5, stateful=True)
layer.build((3, 6, 4))
module = tf.Module()
module.variables_of_layer = [variable.value for variable in (*layer.weights, *layer.states)]
function = tf.function(lambda x: {"y": layer(x)}, autograph=False)
with tempfile.TemporaryDirectory() as folder:
    traced = function.get_concrete_function(tf.TensorSpec((3, 6, 4), tf.float32, "x"))
    tf.saved_model.save(module, folder, signatures=traced)
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.experimental_enable_resource_variables = True
    interpreter = Interpreter(model_content=converter.convert())
run, x = interpreter.get_signature_runner(), np.ones((3, 6, 4), "f4")
first = run(x=x)["y"]
interpreter.reset_all_variables()
print("first call:", first[0], "after reset_all_variables:", (again := run(x=x)["y"])[0])
print("equal:", np.array_equal(first, again))
raise SystemExit(0 if np.array_equal(first, again) else 1)  # 1: it still happens
