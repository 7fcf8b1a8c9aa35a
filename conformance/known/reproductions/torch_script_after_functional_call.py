"""torch.jit.script of a torch.nn.LSTM uses the weights of an earlier torch.func.functional_call."""

import torch

lstm = torch.nn.LSTM(3, 4)
x = torch.ones(5, 2, 3)
zeros = {name: torch.zeros_like(parameter) for name, parameter in lstm.named_parameters()}
torch.func.functional_call(lstm, zeros, (x,))
scripted = torch.jit.script(torch.nn.Sequential(lstm))  # An LSTM alone cannot be called: its forward is overloaded.

with torch.no_grad():
    expected, got = (module(x)[0][-1, 0] for module in (lstm, scripted))
print("expected, as the module called eagerly:", expected.numpy())
print("got from the scripted module:          ", got.numpy())
print("parameters of both modules are equal:", torch.equal(lstm.weight_ih_l0, scripted[0].weight_ih_l0))
same = torch.allclose(expected, got)
print("outputs of both modules are equal:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
