"""flax.linen.RNN and flax.nnx.RNN: the final carry of a row of length 0 is the carry after all of its padding."""

import jax
import numpy as np
from flax import linen, nnx

x = np.random.default_rng(0).standard_normal((2, 3, 2)).astype("float32")
lengths = np.array([3, 0], dtype="int32")  # The second row is padding.
start = (np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32"))
how = {"seq_lengths": lengths, "initial_carry": start, "return_carry": True}
rnn = linen.RNN(linen.LSTMCell(4))
variables = rnn.init(jax.random.key(0), x)
kept = []
for name, call in (
    ("linen", lambda x: rnn.apply(variables, x, **how)),
    ("nnx", lambda x: nnx.RNN(nnx.LSTMCell(2, 4, rngs=nnx.Rngs(0)))(x, **how)),
):
    carry, _ = call(x)
    other, _ = call(np.where(np.arange(2)[:, None, None] == 1, x + 1, x))
    print(f"flax.{name}.RNN: a row of length 0 returns its initial carry:", bool((carry[1][1] == 0).all()))
    print(f"flax.{name}.RNN: its carry does not depend on the padding:", bool((carry[1][1] == other[1][1]).all()))
    kept.append(bool((carry[1][1] == 0).all()))
raise SystemExit(0 if all(kept) else 1)  # 1: it still happens
