"""flax.linen.RNN and flax.nnx.RNN: NaN beyond seq_lengths leaves all results finite, but makes every gradient NaN."""

import jax
import numpy as np
from flax import linen, nnx

x = np.random.default_rng(0).standard_normal((1, 3, 2)).astype("float32")
x[0, 2] = np.nan  # The last step is padding.
how = {"seq_lengths": np.array([2], dtype="int32"), "initial_carry": (np.zeros((1, 4), "float32"),) * 2}
module = linen.RNN(linen.LSTMCell(4))
variables = module.init(jax.random.key(0), x)
fine = []
for name, run in (
    ("linen", lambda x: module.apply(variables, x, return_carry=True, **how)),
    ("nnx", lambda x: nnx.RNN(nnx.LSTMCell(2, 4, rngs=nnx.Rngs(0)))(x, return_carry=True, **how)),
):
    value, gradient = jax.value_and_grad(lambda x, run=run: run(x)[0][1].sum() + run(x)[1][:, :2].sum())(x)
    print(f"flax.{name}.RNN: results of the valid steps are finite:", bool(np.isfinite(value)))
    print(f"flax.{name}.RNN: gradient of the valid steps is finite:", bool(np.isfinite(gradient[:, :2]).all()))
    fine.append(bool(np.isfinite(gradient[:, :2]).all()))
raise SystemExit(0 if all(fine) else 1)  # 1: it still happens
