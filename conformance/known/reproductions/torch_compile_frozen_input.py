"""torch.compile of an LSTM: the backward pass raises if the input needs no gradient, as in ordinary training."""

import torch

lstm = torch.nn.LSTM(3, 4)


def raises(requires_grad):
    """Returns whether the compiled LSTM raises in training, for an input that needs a gradient or does not."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(lstm, backend="aot_eager", fullgraph=True)
        try:
            compiled(torch.randn(5, 2, 3, requires_grad=requires_grad))[0].sum().backward()
        except AssertionError as error:
            print(str(error)[:60])
            return True
    return False


print("input that needs a gradient:", "raises" if raises(True) else "runs")
wrong = raises(False)
print("input that needs none:      ", "raises" if wrong else "runs")
raise SystemExit(1 if wrong else 0)  # 1: it still happens
