"""LiteRT: a converted torch.nn.LSTM for three rows and five units broadcasts a cell state of one row or one unit."""

import litert_torch
import numpy as np
import torch


class Flat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 5)

    def forward(self, x, h, c):
        return self.lstm(x, (h, c))[0]


shapes = {"x": (6, 3, 4), "h": (1, 3, 5), "c": (1, 3, 5)}
model = litert_torch.convert(Flat().eval(), tuple(map(torch.zeros, shapes.values())))
refused = []
for wrong in ({"c": (1, 1, 5)}, {"c": (1, 3, 1)}):
    try:
        output = model(*(np.ones(shape, "f4") for shape in (shapes | wrong).values()))
        print(wrong, "gives an output of shape", output.shape)
    except (RuntimeError, ValueError):
        refused.append(wrong)
print("both are refused:", len(refused) == 2)
raise SystemExit(0 if len(refused) == 2 else 1)  # 1: it still happens
