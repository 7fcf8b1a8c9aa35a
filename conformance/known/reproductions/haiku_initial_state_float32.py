"""haiku.LSTM: initial_state is float32 for every dtype, so a 16-bit layer computes and returns float32."""

import haiku as hk
import jax
import numpy as np


def unroll(x):
    core = hk.LSTM(4)
    return hk.dynamic_unroll(core, x, core.initial_state(x.shape[1]))[0]


layer = hk.transform(unroll)
right = []
for dtype in ("float32", "float16", "bfloat16"):
    x = jax.numpy.ones((5, 2, 3), dtype)
    weights = jax.tree.map(lambda array, dtype=dtype: array.astype(dtype), layer.init(jax.random.key(0), x))
    output, pull = jax.vjp(lambda x, weights=weights: layer.apply(weights, None, x), x)
    right.append(output.dtype == x.dtype)
    print(f"weights and input in {dtype}, output in {output.dtype}")
    try:
        pull(np.ones_like(x, shape=output.shape))
    except ValueError as error:
        print(error)
print("outputs have the dtype of weights and input:", right)
raise SystemExit(0 if all(right) else 1)  # 1: it still happens
