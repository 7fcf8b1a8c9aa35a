"""torch.nn.LSTM in training, decomposed by export or compiled: dropout between layers is not applied."""

import torch

torch._dynamo.config.allow_rnn = True

lstm = torch.nn.LSTM(3, 4, num_layers=2, dropout=1.0).train()
x = torch.randn(5, 2, 3, requires_grad=True)
other = torch.randn(5, 2, 3, requires_grad=True)


def drops(call):
    """Whether the output ignores the input, as it must when all that reaches the last layer is dropped."""
    return torch.equal(call(x)[0], call(other)[0])


exported = torch.export.export(lstm, (x,))
print("eager drops:", drops(lstm))
print("exported drops:", drops(exported.module()))
decomposed = drops(exported.run_decompositions().module())
print("exported and decomposed drops:", decomposed)
compiled = drops(torch.compile(lstm, backend="aot_eager", fullgraph=True))
print("compiled drops:", compiled)
raise SystemExit(0 if decomposed and compiled else 1)  # 1: it still happens
