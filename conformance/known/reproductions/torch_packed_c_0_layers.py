"""torch.nn.LSTM on a packed sequence: c_0 of one direction instead of two ends the process with a signal."""

import os

import torch
from torch.nn.utils.rnn import pack_padded_sequence

child = os.fork()
if child == 0:
    packed = pack_padded_sequence(torch.ones(6, 2, 3), torch.tensor([6, 4]))
    try:
        torch.nn.LSTM(3, 4, bidirectional=True)(packed, (torch.zeros(2, 2, 4), torch.zeros(1, 2, 4)))
    except RuntimeError as error:
        print("c_0 is refused:", error)
    os._exit(0)
_, status = os.waitpid(child, 0)

print("the process survives:", status == 0, f"(signal {os.WTERMSIG(status)})")
raise SystemExit(0 if status == 0 else 1)  # 1: it still happens
