"""LiteRT: a converted Keras LSTM for three rows and five units accepts states of one row, or of one unit."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

layer = keras.layers.LSTM(5)
shapes, refused = {"x": (3, 6, 4), "h": (3, 5), "c": (3, 5)}, []
signature = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}
function = tf.function(lambda x, h, c: {"y": layer(x, initial_state=[h, c])}, autograph=False)
layer.build((3, 6, 4))
module = tf.Module()
module.weights = [weight.value for weight in layer.weights]
traced = function.get_concrete_function(**signature)
model = tf.lite.TFLiteConverter.from_concrete_functions([traced], module).convert()
for wrong in ({"c": (1, 5)}, {"c": (3, 1)}, {"h": (1, 5)}):
    run = Interpreter(model_content=model).get_signature_runner()
    try:
        run(**{name: np.ones(shape, "f4") for name, shape in (shapes | wrong).items()})
        refused.append(False)
    except (RuntimeError, ValueError) as error:
        print(error)
        refused.append(True)
    print(wrong, "is refused:", refused[-1])
raise SystemExit(0 if all(refused) else 1)  # 1: it still happens
