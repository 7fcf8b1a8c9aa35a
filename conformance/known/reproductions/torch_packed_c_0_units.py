"""torch.nn.LSTM with a projection on a packed sequence: c_0 of one unit is broadcast instead of refused."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence

lstm = torch.nn.LSTM(3, 4, proj_size=2)
x, h_0, c_0 = torch.ones(6, 2, 3), torch.zeros(1, 2, 2), torch.zeros(1, 2, 1)
try:
    lstm(x, (h_0, c_0))
except RuntimeError as error:
    print("without packing, c_0 is refused: True,", error)
try:
    lstm(pack_padded_sequence(x, torch.tensor([6, 4])), (h_0, c_0))
except RuntimeError as error:
    print("c_0 is refused: True,", error)
    raise SystemExit(0) from error
print("c_0 of one unit for a layer of 4 units is refused: False")
raise SystemExit(1)  # 1: it still happens
