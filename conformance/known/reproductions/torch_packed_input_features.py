"""torch.nn.LSTM on a packed sequence of rows of the same length: an input with one feature too many is accepted."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence

lstm = torch.nn.LSTM(3, 4)
x = torch.ones(6, 2, 4)
try:
    lstm(x)
except RuntimeError as error:
    print("without packing, the input is refused: True,", error)
try:
    lstm(pack_padded_sequence(x, torch.tensor([6, 6])))
except RuntimeError as error:
    print("the input is refused: True,", error)
    raise SystemExit(0) from error
print("an input of 4 features for weights of 3 is refused: False")
raise SystemExit(1)  # 1: it still happens
