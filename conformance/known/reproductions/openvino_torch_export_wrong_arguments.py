"""OpenVINO: an LSTM from torch.export accepts an input with a feature too many, and broadcasts states."""

import numpy as np
import openvino
import torch

torch.manual_seed(0)
lstm = torch.nn.LSTM(4, 5).eval()


class Flat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = lstm

    def forward(self, x, h, c):
        return self.lstm(x, (h, c))[0]


shapes = {"x": (6, 3, 4), "h": (1, 3, 5), "c": (1, 3, 5)}
model = openvino.convert_model(torch.export.export(Flat(), tuple(map(torch.zeros, shapes.values()))))
compiled, refused = openvino.Core().compile_model(model, "CPU"), []
for wrong in ({"x": (6, 3, 5)}, {"c": (1, 1, 5)}, {"c": (1, 3, 1)}):
    try:
        output = compiled([np.ones(shape, "f4") for shape in (shapes | wrong).values()])[0]
        print(wrong, "gives an output of shape", output.shape)
    except RuntimeError:
        refused.append(wrong)
print("all are refused:", len(refused) == 3)
raise SystemExit(0 if len(refused) == 3 else 1)  # 1: it still happens
