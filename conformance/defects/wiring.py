"""Reads and writes of wrong elements, and their adjoints."""

from dataclasses import dataclass

import numpy as np

from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Rewire


@dataclass(frozen=True)
class Wiring:
    """A linear map between named tensors that copies elements, and its adjoint.

    Attributes:
        read: for each tensor, the numbers of the elements that take the place of its own; None for the identity.
    """

    read: Arrays | None

    @classmethod
    def of(cls, rewire: Rewire | None, tensors: Arrays, case: Case) -> "Wiring":
        """Creates the map from a rewiring of these tensors; None for the identity."""
        if rewire is None:
            return cls(None)
        numbers, first = {}, 0
        for name, array in tensors.items():
            numbers[name] = np.arange(first, first + array.size).reshape(array.shape)
            first += array.size
        read = numbers | rewire(dict(numbers), case)
        for name, array in tensors.items():
            if read[name].shape != array.shape:
                raise ValueError(f"{name}: a rewiring must keep the shape {array.shape}, got {read[name].shape}")
        return cls(read)

    def forward(self, tensors: Arrays) -> Arrays:
        """Applies the map."""
        if self.read is None:
            return tensors
        flat = np.concatenate([*(array.ravel() for array in tensors.values()), [0.0]])
        return {name: flat[self.read[name]] for name in tensors}

    def backward(self, gradients: Arrays) -> Arrays:
        """Applies the adjoint to gradients with respect to the results of ``forward``."""
        if self.read is None:
            return gradients
        flat = np.zeros(sum(array.size for array in gradients.values()) + 1)
        for name, array in gradients.items():
            np.add.at(flat, self.read[name].ravel(), array.ravel())
        results, first = {}, 0
        for name, array in gradients.items():
            results[name] = flat[first : first + array.size].reshape(array.shape)
            first += array.size
        return results
