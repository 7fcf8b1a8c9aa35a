"""Paddle's state dictionaries, in which an LSTM's parameters have two names each."""

import re
from dataclasses import replace

import numpy as np

from conformance.conversion.framework import Framework, Tensors
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError

_CELL = re.compile(r"(?P<start>(?:.+\.)?)(?P<layer>\d+)\.cell(?P<direction>_fw|_bw)?\.(?P<role>\w+)")
_PARAMETER = re.compile(r"((?:.+\.)?)(\w+)_l(\d+)(_reverse)?")


class Paddle(Framework):
    """``paddle.nn.LSTM``: ``weight_ih_l0_reverse`` is also ``0.cell_bw.weight_ih``. Projections have the latter."""

    def find(self, tensors: Tensors, sure: bool = False) -> list[Lstm]:
        """Returns the LSTMs among tensors, see ``Framework.find``."""
        names: dict[str, list[str]] = {}
        arrays: dict[str, Array] = {}
        for tensor, array in tensors.items():
            found = _CELL.fullmatch(tensor)
            suffix = "_reverse" if found and found["direction"] == "_bw" else ""
            name = f"{found['start']}{found['role']}_l{found['layer']}{suffix}" if found else tensor
            if name in arrays and not np.array_equal(arrays[name], array):
                raise UserError(f"{names[name][0]} and {tensor} denote the same weights, but differ")
            arrays[name] = array
            names.setdefault(name, []).append(tensor)
        return [
            replace(lstm, tensors=tuple(tensor for name in lstm.tensors for tensor in names[name]))
            for lstm in super().find(arrays, sure)
        ]

    def pack(self, lstm: Lstm) -> dict[str, Array]:
        """Returns the arrays of an LSTM by both of their names."""
        packed = super().pack(lstm)
        arrays: dict[str, Array] = {}
        for name, array in packed.items():
            found = _PARAMETER.fullmatch(name)
            assert found
            start, role, layer, reverse = found.groups()
            side = "" if lstm.model.num_directions == 1 else "_bw" if reverse else "_fw"
            if role != self.layout.weight_hr:
                arrays[name] = array
            arrays[f"{start}{layer}.cell{side}.{role}"] = array
        return arrays
