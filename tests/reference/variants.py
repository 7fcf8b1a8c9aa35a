"""Correct LSTMs in float32 that round differently: the reference itself, run on numbers with other habits."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from reference import PROFILES
from reference.activations import Activation, sigmoid
from reference.arithmetic import Rounded

U = PROFILES["float32"].u


class Single(Rounded):
    """Float32, every operation rounded, a matrix product summed term by term in an order of its own."""

    order: Callable[[Any], Any] = staticmethod(lambda terms: terms)
    """Puts the terms of a sum (…, n) in the order in which they are added."""
    operand: Callable[[Any], Any] = staticmethod(lambda values: values)
    """Rounds the operands of a matrix product."""
    activation: Callable[[Activation, Any], Any] = staticmethod(lambda activation, z: activation(z))
    """Evaluates an activation."""

    @classmethod
    def lift(cls, array: Any) -> Self:
        """An array as such numbers."""
        return cls(PROFILES["float32"], np.asarray(array, np.float32))

    def exact(self, array: Any) -> Self:
        return array if isinstance(array, type(self)) else self.lift(array)

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape, np.float32))

    def rounded(self) -> Self:
        return self

    def times(self, other: Self) -> Self:
        return self.new(self.value * other.value)

    def squared(self) -> Self:
        return self.new(np.square(self.value))

    def sum(self, axis: int) -> Self:
        return self.new(self._added(np.moveaxis(self.value, axis, -1)))

    def matmul(self, other: Self) -> Self:
        left, right = self.operand(self.value), self.operand(other.value)
        return self.new(self._added(left[..., :, None, :] * np.swapaxes(right, -1, -2)[..., None, :, :]))

    def _added(self, terms: Any) -> Any:
        return np.add.accumulate(self.order(terms), axis=-1, dtype=np.float32)[..., -1]

    def activate(self, activation: Activation) -> Self:
        return self.new(np.asarray(self.activation(activation, self.value), np.float32))


class Reversed(Single):
    """Sums from the last term to the first."""

    order = staticmethod(lambda terms: terms[..., ::-1])


class Ascending(Single):
    """Sums the smallest terms first."""

    order = staticmethod(lambda terms: np.take_along_axis(terms, np.argsort(np.abs(terms), axis=-1), axis=-1))


class Descending(Single):
    """Sums the largest terms first."""

    order = staticmethod(lambda terms: np.take_along_axis(terms, np.argsort(-np.abs(terms), axis=-1), axis=-1))


class TanhThroughSigmoid(Single):
    """tanh(z) as 2 σ(2z) - 1, as several runtimes compute it."""

    activation = staticmethod(lambda f, z: 2 * sigmoid(2 * z) - 1 if f.name == "tanh" else f(z))


class ActivationsHigh(Single):
    """Every activation 5 u too large in relative terms, everywhere."""

    activation = staticmethod(lambda f, z: f(z.astype(np.float64)) * (1 + 5 * U))


class ActivationsLow(Single):
    """Every activation 5 u too small in relative terms, everywhere."""

    activation = staticmethod(lambda f, z: f(z.astype(np.float64)) * (1 - 5 * U))


def _tf32(values: Any) -> Any:
    """11 significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**11) / 2.0**11, exponent).astype(np.float32)


class Tf32(Single):
    """Operands of matrix products rounded to TF32: correct only where it is declared."""

    operand = staticmethod(_tf32)


LEGITIMATE = [Single, Reversed, Ascending, Descending, TanhThroughSigmoid, ActivationsHigh, ActivationsLow]
