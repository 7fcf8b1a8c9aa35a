"""torch.nn.LSTM on a packed sequence of one row and one step: an additional axis is accepted instead of refused."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence

lstm, x = torch.nn.LSTM(3, 4), torch.ones(1, 6, 1, 3)
try:
    lstm(x)
except (RuntimeError, ValueError) as error:
    print("without packing, the axis is refused: True,", error)
try:
    lstm(pack_padded_sequence(x, torch.tensor([1]), enforce_sorted=False))
except (RuntimeError, ValueError) as error:
    print("the axis is refused: True,", error)
    raise SystemExit(0) from error
print("the additional axis is refused: False")
raise SystemExit(1)  # 1: it still happens
