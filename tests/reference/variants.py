"""LSTMs that round in different ways: the reference, run on arrays with different rounding rules."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from reference import PROFILES, Profile
from reference.activations import Activation, sigmoid
from reference.arithmetic import Rounded

U = PROFILES["float32"].u


class Single(Rounded[Profile]):
    """Float32 array. Every operation rounds. Sums and matrix products add their terms one by one."""

    dtype: type[np.floating] = np.float32
    """Dtype of every result."""
    order: Callable[[Any], Any] = staticmethod(lambda terms: terms)
    """Sorts the terms of a sum (…, n) into the order of addition."""
    operand: Callable[[Any], Any] = staticmethod(lambda values: values)
    """Rounds an operand of a matrix product."""
    activation: Callable[[Activation, Any], Any] = staticmethod(lambda activation, z: activation(z))
    """Evaluates an activation at z."""

    @classmethod
    def lift(cls, array: Any) -> Self:
        """Converts an array to this class."""
        return cls(PROFILES["float32"], np.asarray(array, cls.dtype))

    def exact(self, array: Any) -> Self:
        return array if isinstance(array, type(self)) else self.lift(array)

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape, self.dtype))

    def rounded(self) -> Self:
        return self

    def times(self, other: Self) -> Self:
        return self.new(self.value * other.value)

    def squared(self) -> Self:
        return self.new(np.square(self.value))

    def sum(self, axis: int) -> Self:
        return self.new(self._accumulate(np.moveaxis(self.value, axis, -1)))

    def matmul(self, other: Self) -> Self:
        left, right = self.operand(self.value), self.operand(other.value)
        return self.new(self._accumulate(left[..., :, None, :] * np.swapaxes(right, -1, -2)[..., None, :, :]))

    def _accumulate(self, terms: Any) -> Any:
        return np.add.accumulate(self.order(terms), axis=-1, dtype=np.float32)[..., -1].astype(self.dtype)

    def activate(self, activation: Activation) -> Self:
        return self.new(np.asarray(self.activation(activation, self.value), self.dtype))


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
    """Computes tanh(z) as 2 σ(2z) - 1, as several runtimes do."""

    activation = staticmethod(lambda f, z: 2 * sigmoid(2 * z) - 1 if f.name == "tanh" else f(z))


class ActivationsHigh(Single):
    """Multiplies every activation by 1 + 5 u."""

    activation = staticmethod(lambda f, z: f(z.astype(np.float64)) * (1 + 5 * U))


class ActivationsLow(Single):
    """Multiplies every activation by 1 - 5 u."""

    activation = staticmethod(lambda f, z: f(z.astype(np.float64)) * (1 - 5 * U))


def _round_to_tf32(values: Any) -> Any:
    """Rounds values to 11 significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**11) / 2.0**11, exponent).astype(np.float32)


class Tf32(Single):
    """Rounds operands of matrix products to TF32. Correct only for an adapter that declares it."""

    operand = staticmethod(_round_to_tf32)


def _truncate_to_tf32(values: Any) -> Any:
    """Truncates values to 11 significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.trunc(mantissa * 2.0**11) / 2.0**11, exponent).astype(np.float32)


class Tf32Truncated(Single):
    """Truncates operands of matrix products to TF32, as tensor cores do with float32 operands."""

    operand = staticmethod(_truncate_to_tf32)


class Half(Single):
    """Stores every result in float16. Adds the terms of a sum in float32."""

    dtype = np.float16
    operand = staticmethod(lambda values: values.astype(np.float32))


class Int8(Single):
    """Quantizes the left operand of each matrix product to 8 bits, with 255 steps between its extremes."""

    def matmul(self, other: Self) -> Self:
        low, high = min(self.value.min(), 0.0), max(self.value.max(), 0.0)
        step = (high - low) / 255 or 1.0
        zero = np.rint(-low / step)
        levels = np.clip(np.rint(self.value / step) + zero, 0, 255)
        return self.new((((levels - zero) * step) @ other.value).astype(np.float32))


CORRECT_VARIANTS = [Single, Reversed, Ascending, Descending, TanhThroughSigmoid, ActivationsHigh, ActivationsLow]
"""Variants that must stay within the float32 budget."""
