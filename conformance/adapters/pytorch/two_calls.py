"""Modules that call ``torch.nn.LSTM`` twice.

TorchScript resolves their annotations in this file. The file therefore imports torch when it is imported, and can be
imported only where torch is installed.
"""

from typing import Any

import torch
from torch import Tensor

State = tuple[Tensor, Tensor]


class Twice(torch.nn.Module):  # type: ignore[misc]
    """A module that calls one LSTM on the first rows and on the other rows."""

    def __init__(self, first: Any, axis: int, rows: int) -> None:
        super().__init__()
        self.first = first
        self.axis = axis
        self.rows = rows

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Returns the output and the final states of all rows."""
        rows = inputs.size(self.axis)
        one, other = inputs.split([self.rows, rows - self.rows], self.axis)
        if state is None:
            head, (h, c) = self.first(one, None)
            tail, (h_other, c_other) = self.first(other, None)
        else:
            h_0, h_0_other = state[0].split([self.rows, rows - self.rows], 1)
            c_0, c_0_other = state[1].split([self.rows, rows - self.rows], 1)
            head, (h, c) = self.first(one, (h_0, c_0))
            tail, (h_other, c_other) = self.first(other, (h_0_other, c_0_other))
        return torch.cat([head, tail], self.axis), (torch.cat([h, h_other], 1), torch.cat([c, c_other], 1))


class EncoderDecoder(torch.nn.Module):  # type: ignore[misc]
    """A module whose second LSTM continues the sequence from the final states of the first."""

    def __init__(self, first: Any, second: Any, axis: int, steps: int) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.axis = axis
        self.steps = steps

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Returns the output of both LSTMs, and the final states of the second."""
        one, other = inputs.split([self.steps, inputs.size(self.axis) - self.steps], self.axis)
        head, between = self.first(one, state)
        tail, final = self.second(other, between)
        return torch.cat([head, tail], self.axis), final


class Parallel(torch.nn.Module):  # type: ignore[misc]
    """A module whose second LSTM reads the same sequence as the first, in reverse."""

    def __init__(self, first: Any, second: Any, axis: int) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.axis = axis

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Returns the output and the final states of both LSTMs, side by side."""
        backwards = inputs.flip([self.axis])
        if state is None:
            one, (h, c) = self.first(inputs, None)
            other, (h_other, c_other) = self.second(backwards, None)
        else:
            h_0, h_0_other = state[0].split(1)
            c_0, c_0_other = state[1].split(1)
            one, (h, c) = self.first(inputs, (h_0, c_0))
            other, (h_other, c_other) = self.second(backwards, (h_0_other, c_0_other))
        return torch.cat([one, other.flip([self.axis])], -1), (torch.cat([h, h_other]), torch.cat([c, c_other]))
