"""Modules that TorchScript compiles.

TorchScript resolves their annotations in this file. The file therefore imports torch when it is imported, and can be
imported only where torch is installed.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

State = tuple[Tensor, Tensor]


class OnTensor(torch.nn.Module):  # type: ignore[misc]
    """A module that calls an LSTM on a tensor."""

    def __init__(self, lstm: Any) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Returns the output and the final states."""
        return self.lstm(inputs, state)  # type: ignore[no-any-return]


class OnPacked(torch.nn.Module):  # type: ignore[misc]
    """A module that calls an LSTM on a packed sequence."""

    def __init__(self, lstm: Any) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, inputs: PackedSequence, state: State | None) -> tuple[PackedSequence, State]:
        """Returns the output and the final states."""
        return self.lstm(inputs, state)  # type: ignore[no-any-return]
