"""keras.layers.LSTM on JAX: Bidirectional around an unrolled layer does not set the output of masked steps to 0."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

x = np.random.default_rng(0).standard_normal((1, 4, 2)).astype("float32")
mask = np.array([[True, True, True, False]])  # The last step is padding.
outputs = {}
for unroll in (False, True):
    layer = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, unroll=unroll))
    layer.build(x.shape)
    layer.set_weights([np.full(weights.shape, 0.3) for weights in layer.get_weights()])
    outputs[unroll] = np.asarray(keras.ops.convert_to_numpy(layer(x, mask=mask)))
    print(f"unroll={unroll}, forward half:", outputs[unroll][0, :, 0].round(3))

same = np.allclose(outputs[True], outputs[False], atol=1e-5)
print("unrolled equals not unrolled:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
