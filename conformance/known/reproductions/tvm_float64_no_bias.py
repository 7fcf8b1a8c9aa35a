"""tvm.relax: a float64 LSTM without biases that was imported from torch.export is computed in float32."""

import torch
import tvm.relax.frontend.torch

torch.manual_seed(0)
module = torch.nn.LSTM(3, 4, bias=False).eval().to(torch.float64)
x = torch.rand(5, 2, 3, dtype=torch.float64)
with torch.no_grad():
    expected = module(x)[0].numpy()
    imported = tvm.relax.frontend.torch.from_exported_program(torch.export.export(module, (x,)))
machine = tvm.relax.VirtualMachine(tvm.compile(imported, "llvm"), tvm.cpu())
output = machine["main"](tvm.runtime.tensor(x.numpy()))[0].numpy()
deviation = abs(output.astype("float64") - expected).max()
print(f"output is {output.dtype}, off by {deviation:.2g}")
print("output is computed in float64:", bool(deviation < 1e-12))
raise SystemExit(0 if deviation < 1e-12 else 1)  # 1: it still happens
