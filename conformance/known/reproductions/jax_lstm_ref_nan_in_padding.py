"""jax.experimental.rnn.lstm_ref: NaN beyond seq_lengths leaves all results finite, but makes every gradient NaN."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
parts = rnn.unpack_lstm_weights(rnn.init_lstm_weight(jax.random.key(0), 2, 4, 1, False), 2, 4, 1, False)
zero = jnp.zeros((1, 1, 4))
lengths = jnp.array([2], "int32")


def total(x):
    return sum(each.sum() for each in rnn.lstm_ref(x, zero, zero, *parts, lengths, 2, 4, 1, 0.0, False))


value, gradient = jax.value_and_grad(total)(x)
print("results are finite:", bool(np.isfinite(value)))
print("gradient of the valid steps is finite:", bool(np.isfinite(gradient[:, :2]).all()))
raise SystemExit(0 if np.isfinite(gradient[:, :2]).all() else 1)  # 1: it still happens
