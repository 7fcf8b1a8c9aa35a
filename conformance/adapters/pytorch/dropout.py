"""The dropout masks that ``torch.nn.LSTM`` draws."""

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.module import build_lstm, lstm_options, run
from conformance.verdict.problem import Problem


def recover_mask(problem: Problem, boundary: int) -> NDArray[np.floating]:
    """Returns the dropout mask on the output of layer ``boundary``, time-major (T, B, ·): 0 or 1 / (1 - p).

    A probe with known parameters draws the same masks: they depend only on shapes, p and the seed, and lower layers
    draw first. The probe's lower layers output the constant tanh(1) for any input. Its last layer copies each element
    of its input to a separate unit, whose h is about 0.6 if the element was kept and about 0 if it was dropped.

    Args:
        problem: the problem.
        boundary: index of the layer whose output is masked.
    """
    import torch

    case = problem.case
    width = case.model.state_size(boundary)
    hidden, top = case.hidden_sizes[0], boundary + 1
    options = dict(lstm_options(case)) | {"num_layers": boundary + 2, "bias": True}
    probe = build_lstm(tuple(options.items()), case.dtype)
    with torch.no_grad(), _torch.quietly():
        for name, parameter in probe.named_parameters():
            parameter.zero_()
            layer = int(name.split("_l")[1].split("_")[0])
            if name.startswith("bias_ih"):
                # Gates i and o are 1 and f is 0, so h = tanh(tanh(candidate)).
                gates = torch.tensor([60.0, -60.0, 60.0 if layer < top else 0.0, 60.0])
                parameter.view(4, hidden).copy_(gates[:, None])
            elif name.startswith("weight_hr"):
                parameter.fill_diagonal_(1)
            elif name.startswith("weight_ih") and layer == top:
                offset = width if name.endswith("_reverse") else 0
                for unit in range(width):
                    parameter[2 * hidden + unit, offset + unit] = 1
        probe.train()
        lengths = {} if problem.lengths is None else {"lengths": problem.lengths}
        inputs = torch.zeros(problem.input.shape, dtype=getattr(torch, case.dtype))
        output = run(probe, case, {"input": inputs, **lengths})["output"]
    kept = _torch.to_array(output) > 0.25
    if case.rows is None:
        kept = kept[:, None]
    elif case.batch_first:
        kept = np.moveaxis(kept, 0, 1)
    return np.ascontiguousarray(kept) / (1.0 - case.dropout)
