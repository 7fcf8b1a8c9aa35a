"""Weights whose arrays have an axis for the directions, as in ONNX and OpenVINO."""

import re
from dataclasses import replace

import numpy as np

from conformance.conversion.framework import Framework, Tensors, directions
from conformance.conversion.lstm import Array, Lstm

_NAME = re.compile(r"(?:(?P<name>.+)/)?(?P<array>W|R|B|P)")
_AXES = {"W": 3, "R": 3, "B": 2, "P": 2}
_DIRECTIONS = ("forward", "backward")


class DirectionAxis(Framework):
    """A framework with W (D, 4H, I), R (D, 4H, H), B (D, 4H or 8H) and P (D, 3H).

    ONNX's B holds two biases, one after the other.
    """

    def find(self, tensors: Tensors, sure: bool = False) -> list[Lstm]:
        """Returns the LSTMs among tensors, see ``Framework.find``."""
        origin: dict[str, str] = {}
        parts: dict[str, Array] = {}
        for tensor, array in tensors.items():
            found = _NAME.fullmatch(tensor)
            if not found or array.ndim != _AXES[found["array"]] or len(array) not in (1, 2):
                continue
            for direction, own in zip(_DIRECTIONS, array, strict=False):
                place = [found["name"], direction if len(array) == 2 else None]
                for role, part in self._divide(found["array"], own).items():
                    name = "/".join(filter(None, [*place, role]))
                    parts[name], origin[name] = part, tensor
        return [
            replace(lstm, tensors=tuple(dict.fromkeys(origin[part] for part in lstm.tensors)))
            for lstm in super().find(parts, sure)
        ]

    def pack(self, lstm: Lstm) -> dict[str, Array]:
        """Returns the arrays of an LSTM by the framework's names."""
        arrays: dict[str, Array] = {}
        for layer in range(lstm.model.num_layers):
            packed = [self._unite(self.layout_for(lstm).pack(own)) for _, own in directions(lstm, layer)]
            for array in packed[0]:
                name = f"{self.unit(lstm, layer)}/{array}".removeprefix("/")
                arrays[name] = np.stack([own[array] for own in packed])
        return arrays

    @property
    def _biases(self) -> tuple[str, ...]:
        """Names of the biases that B consists of."""
        separate = self.layout.biases == "separate"
        return (self.layout.bias_ih, self.layout.bias_hh) if separate else (self.layout.bias_ih,)

    def _divide(self, name: str, array: Array) -> dict[str, Array]:
        if name != "B":
            return {name: array}
        return dict(zip(self._biases, np.array_split(array, len(self._biases)), strict=True))

    def _unite(self, arrays: dict[str, Array]) -> dict[str, Array]:
        if self._biases[0] not in arrays:
            return arrays
        bias = np.concatenate([arrays[name] for name in self._biases])
        return {name: array for name, array in arrays.items() if name not in self._biases} | {"B": bias}
