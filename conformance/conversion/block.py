"""The weights of ``tf.raw_ops.BlockLSTM``, whose peepholes are three arrays."""

import re
from dataclasses import replace

import numpy as np

from conformance.conversion.framework import Framework, Tensors
from conformance.conversion.lstm import Array, Lstm

_PEEPHOLES = ("wci", "wcf", "wco")
"""Names of the peepholes of the gates i, f and o."""


class BlockLstm(Framework):
    """The operator's arguments: w, b, and with peepholes wci, wcf and wco."""

    def find(self, tensors: Tensors, sure: bool = False) -> list[Lstm]:
        """Returns the LSTMs among tensors, see ``Framework.find``."""
        arrays = dict(tensors)
        for name in tensors:
            start = re.fullmatch(r"((?:.+/)?)wci", name)
            parts = [f"{start[1]}{part}" for part in _PEEPHOLES] if start else []
            if start and all(part in tensors and tensors[part].ndim == 1 for part in parts):
                arrays[f"{start[1]}{self.layout.peephole}"] = np.concatenate([arrays.pop(part) for part in parts])
        return [
            replace(lstm, tensors=tuple(name for part in lstm.tensors for name in self._split_name(part)))
            for lstm in super().find(arrays, sure)
        ]

    def pack(self, lstm: Lstm) -> dict[str, Array]:
        """Returns the arrays of an LSTM by the operator's names."""
        arrays: dict[str, Array] = {}
        for name, array in super().pack(lstm).items():
            names = self._split_name(name)
            arrays |= zip(names, np.split(array, len(names)), strict=True)
        return arrays

    def _split_name(self, name: str) -> list[str]:
        """Returns the names of the peepholes for the name of all of them, and any other name as it is."""
        start = name.removesuffix(self.layout.peephole)
        return [name] if start == name else [f"{start}{part}" for part in _PEEPHOLES]
