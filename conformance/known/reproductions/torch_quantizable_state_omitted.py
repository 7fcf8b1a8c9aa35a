"""torch.ao.nn.quantizable.LSTM without an initial state raises in every dtype except float32."""

import torch


def runs(dtype, *state):
    """Returns whether one step runs in a dtype."""
    lstm = torch.ao.nn.quantizable.LSTM(3, 4, dtype=dtype)
    try:
        return lstm(torch.zeros(1, 2, 3, dtype=dtype), *state)[0].dtype == dtype
    except RuntimeError as error:
        print(error)
        return False


zeros = torch.zeros(1, 2, 4, dtype=torch.float64)
print("runs in float64 with zeros as state:", runs(torch.float64, (zeros, zeros)))
found = [runs(dtype) for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16)]
print("runs in float32, float64, float16, bfloat16 without a state:", found)
raise SystemExit(0 if all(found) else 1)  # 1: it still happens
