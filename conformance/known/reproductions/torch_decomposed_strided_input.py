"""run_decompositions of an exported LSTM: the program raises for a transposed input, which the LSTM accepts."""

import torch

lstm = torch.nn.LSTM(3, 4)
program = torch.export.export(lstm, (torch.randn(5, 2, 3),)).run_decompositions().module()
transposed = torch.randn(2, 5, 3).transpose(0, 1)
expected = lstm(transposed)[0]
print("the copied input runs:", torch.allclose(program(transposed.contiguous())[0], expected, atol=1e-6))
try:
    program(transposed)
    runs = True
except RuntimeError as error:
    print(error)
    runs = False
print("the transposed input runs:", runs)
raise SystemExit(0 if runs else 1)  # 1: it still happens
