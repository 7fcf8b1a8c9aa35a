"""tvm.relax: a float64 LSTM with biases cannot be imported from torch.export."""

import torch
import tvm.relax.frontend.torch


def _is_imported(dtype):
    module = torch.nn.LSTM(3, 4).eval().to(dtype)
    exported = torch.export.export(module, (torch.ones(5, 2, 3, dtype=dtype),))
    try:
        with torch.no_grad():
            tvm.relax.frontend.torch.from_exported_program(exported)
    except TypeError as error:
        print(f"{dtype}: {error}")
        return False
    return True


right = _is_imported(torch.float32), _is_imported(torch.float64)
print("float32, float64 can be imported:", *right)
raise SystemExit(0 if all(right) else 1)  # 1: it still happens
