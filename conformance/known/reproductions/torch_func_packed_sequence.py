"""torch.func.vjp of torch.nn.LSTM on a packed sequence raises. torch.autograd runs."""

import torch

lstm = torch.nn.LSTM(3, 4)
x = torch.randn(5, 2, 3, requires_grad=True)


def padded(x):
    """Returns the output of a packed sequence, padded again."""
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]))
    return torch.nn.utils.rnn.pad_packed_sequence(lstm(packed)[0])[0]


[gradient] = torch.autograd.grad(padded(x).sum(), [x])
print("torch.autograd runs:", bool(gradient.isfinite().all()))
try:
    output, pull = torch.func.vjp(padded, x.detach())
    same = torch.allclose(pull(torch.ones_like(output))[0], gradient)
except RuntimeError as error:
    print(error)
    same = False
print("torch.func.vjp runs and gives the same gradient:", same)
raise SystemExit(0 if same else 1)  # 1: it still happens
