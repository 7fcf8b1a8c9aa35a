"""torch.nn.LSTM without an initial state, under vmap of grad, raises unless oneDNN runs it."""

import torch

rows = torch.randn(5, 2, 3)  # Time, rows, features.


def works(dtype, with_state=False, **options):
    """Returns whether the gradient of each row can be computed."""
    lstm = torch.nn.LSTM(3, 4, dtype=dtype, **options)
    zeros = torch.zeros(2, 1, 1, lstm.proj_size or 4, dtype=dtype), torch.zeros(2, 1, 1, 4, dtype=dtype)

    def loss(x, h, c):
        return lstm(x, (h[0], c[0]) if with_state else None)[0].sum()

    try:
        torch.func.vmap(torch.func.grad(loss), in_dims=(1, 0, 0))(rows.to(dtype), *zeros)
    except RuntimeError as error:
        print(error)
        return False
    return True


print("runs in float64 with a state:", works(torch.float64, with_state=True))
found = [works(torch.float64), works(torch.float32, proj_size=2)]
print("runs in float64 without a state:", found[0])
print("runs in float32 with a projection and without a state:", found[1])
raise SystemExit(0 if all(found) else 1)  # 1: it still happens
