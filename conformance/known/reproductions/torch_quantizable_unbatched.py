"""torch.ao.nn.quantizable.LSTM treats the features of an unbatched input (time, features) as the batch."""

import torch

x, state = torch.randn(5, 3), (torch.zeros(1, 4), torch.zeros(1, 4))
expected = tuple(torch.nn.LSTM(3, 4)(x)[0].shape)
lstm = torch.ao.nn.quantizable.LSTM(3, 4)
found = tuple(lstm(x)[0].shape)
print("shape of the output without a state:", found, "instead of", expected)
try:
    runs = tuple(lstm(x, state)[0].shape) == expected
except RuntimeError as error:
    print(error)
    runs = False
print("runs with a state:", runs)
raise SystemExit(0 if runs and found == expected else 1)  # 1: it still happens
