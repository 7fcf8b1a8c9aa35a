"""jax.experimental.rnn.lstm_ref: the final state of a row of length 0 is the state after all of its padding."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

x = np.random.default_rng(0).standard_normal((2, 3, 2)).astype("float32")
parts = rnn.unpack_lstm_weights(rnn.init_lstm_weight(jax.random.key(0), 2, 4, 1, False), 2, 4, 1, False)
zero = jnp.zeros((1, 2, 4))
lengths = jnp.array([3, 0], "int32")  # The second row is padding.
output, h_n, c_n = rnn.lstm_ref(x, zero, zero, *parts, lengths, 2, 4, 1, 0.0, False)

kept = bool((h_n[0, 1] == 0).all())
print("output of the row of length 0 is zero:", bool((output[1] == 0).all()))
print("its final state equals its initial state:", kept)
raise SystemExit(0 if kept else 1)  # 1: it still happens
