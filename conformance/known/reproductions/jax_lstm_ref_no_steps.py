"""jax.experimental.rnn.lstm_ref: a sequence without time steps raises."""

import jax.numpy as jnp
from jax.experimental import rnn

weights = jnp.zeros(rnn.get_num_params_in_lstm(4, 5, 1, False))
h_0 = c_0 = jnp.ones((1, 3, 5))
W_ih, W_hh, b_ih, b_hh = rnn.unpack_lstm_weights(weights, 4, 5, 1, False)
sizes = {"input_size": 4, "hidden_size": 5, "num_layers": 1, "dropout": 0.0, "bidirectional": False}
print("expected: an output of shape (3, 0, 5), and the initial states")
try:
    lengths = jnp.zeros(3, jnp.int32)
    print("got:", rnn.lstm_ref(jnp.zeros((3, 0, 4)), h_0, c_0, W_ih, W_hh, b_ih, b_hh, lengths, **sizes))
except TypeError as error:
    print("a result: False, raised:", str(error).splitlines()[0])
    raise SystemExit(1) from None  # 1: it still happens
