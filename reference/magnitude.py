"""Largest absolute value in a computation. It shows whether a dtype can hold every intermediate result."""

# ruff: noqa: D102 - ``Rounded`` documents the methods that ``Magnitude`` overrides.

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from reference.activations import Activation
from reference.arithmetic import Array, Rounded


@dataclass
class Meter:
    """A record of the largest absolute value so far.

    Attributes:
        largest: largest absolute value; infinite after a NaN.
    """

    largest: float = 0.0

    def record(self, magnitude: Array) -> None:
        """Updates the record with an array of absolute values."""
        largest = float(magnitude.max(initial=0.0))
        self.largest = max(self.largest, math.inf if math.isnan(largest) else largest)

    def lift(self, array: Any) -> "Magnitude":
        """Converts an array to one whose operations this meter records."""
        return Magnitude(self, np.zeros(1)).exact(array)


class Magnitude(Rounded[Meter]):
    """An exact array that records the largest absolute value in a computation, for every order of evaluation.

    ``error`` is Π max(1, |factor|) of a product of several factors, such as ∂L/∂c · g · σ'(z): an upper bound of every
    partial product. It is None for a single factor. ``weight`` is Σ |term| of an open sum: an upper bound of every
    partial sum.
    """

    def exact(self, array: Any) -> Self:
        """Converts an array to this class and records it. Returns arrays of this class unchanged."""
        if not isinstance(array, type(self)):
            self.context.record(np.abs(array))
        return super().exact(array)

    def plus(self, other: Self) -> Self:
        """Returns the sum of two arrays, as an open sum if one of them is an open sum."""
        value = self.value + other.value
        if self.weight is None and other.weight is None:
            return self.new(value).rounded()
        return self._open_sum(value, self._total_weight() + other._total_weight())

    def sum(self, axis: int) -> Self:
        """Returns the open sum over an axis."""
        return self._open_sum(self.value.sum(axis), np.abs(self.value).sum(axis))

    def matmul(self, other: Self) -> Self:
        return self._open_sum(self.value @ other.value, np.abs(self.value) @ other._absolute)

    def times(self, other: Self) -> Self:
        return self.new(self.value * other.value, self._partial_products() * other._partial_products())

    def squared(self) -> Self:
        return self.times(self)

    def rounded(self) -> Self:
        self.context.record(np.abs(self.value) if self.error is None else self.error)
        return self

    def activate(self, activation: Activation) -> Self:
        return self.new(activation(self.value)).rounded()

    @cached_property
    def _absolute(self) -> Array:
        """Absolute values. Cached, because every time step multiplies by the same weights."""
        return np.abs(self.value)

    def _round_sum(self, terms: int, weight: Array) -> Self:
        del terms, weight
        return self.new(self.value)

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape))

    def _open_sum(self, value: Array, weight: Array) -> Self:
        self.context.record(weight)
        return self.new(value, None, weight)

    def _total_weight(self) -> Array:
        return np.abs(self.value) if self.weight is None else self.weight

    def _partial_products(self) -> Array:
        own: Array = np.maximum(np.abs(self.value), 1.0)
        return own if self.error is None else np.maximum(own, self.error)
