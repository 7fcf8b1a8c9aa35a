"""Modules that TorchScript compiles; imported where torch is, since it resolves their annotations in this file."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

State = tuple[Tensor, Tensor]


class OnTensor(torch.nn.Module):  # type: ignore[misc]
    """Calls an LSTM on a tensor."""

    def __init__(self, lstm: Any) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Output, and final states."""
        return self.lstm(inputs, state)  # type: ignore[no-any-return]


class OnPacked(torch.nn.Module):  # type: ignore[misc]
    """Calls an LSTM on a packed sequence."""

    def __init__(self, lstm: Any) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, inputs: PackedSequence, state: State | None) -> tuple[PackedSequence, State]:
        """Output, and final states."""
        return self.lstm(inputs, state)  # type: ignore[no-any-return]
