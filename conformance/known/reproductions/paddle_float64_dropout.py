"""Paddle: dropout of a float64 tensor scales with a float32 number."""

import numpy as np
import paddle

kept = paddle.nn.functional.dropout(paddle.ones([1000], dtype="float64"), p=0.1, training=True).numpy().max()
print("expected scale:", 1 / (1 - 0.1))
print("got:           ", kept)
same = bool(np.isclose(kept, 1 / 0.9, rtol=1e-12))
print("the same:", same)
raise SystemExit(not same)  # 1: it still happens
