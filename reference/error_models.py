"""Two models of rounding error, as arrays on which the reference runs.

    FirstOrder  value, variance and sampled errors: the statistics of independent errors, to first order
    Ball        value and radius: rigorous bound for every order of summation, with or without FMA

Sources: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), ch. 3–4, for the bounds;
N. J. Higham and T. Mary, A New Approach to Probabilistic Rounding Error Analysis (2019), for the variance of a sum.
"""

# ruff: noqa: D102 - ``Rounded`` documents the methods that these classes override.

import math
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import DTypeLike

from reference.activations import Activation
from reference.arithmetic import Array, Rounded, add_errors
from reference.kinks import Kinks
from reference.profile import Profile

_BITS_AT_ONCE = 1 << 16
"""Least number of random bits drawn at once."""
_BLOCK_ELEMENTS = 1 << 15
"""Number of random errors to draw at once, so that they fit in the processor's cache."""
_SIGNS_OF_BYTES = 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) - 1.0
"""Eight signs, 1 or −1, for each byte."""
_RMS_UNIFORM = 3**-0.5
"""Root mean square of a number that is uniform in ±1."""
SKEWED = ("sigmoid", "tanh")
"""``Activation.built_on`` of the activations that a skewed error scales by 1 + k_r u, one kind at a time."""


class Sampling:
    """Settings that the arrays of a first-order analysis share.

    Attributes:
        profile: rounding constants.
        samples: number of random errors of each value, K.
        dtype: dtype of the errors.
        floor: standard deviation of the error of a result that underflows; 0 if its square underflows in ``dtype``.
        unit: unit of the errors, if the profile's constants are relative to it.
        kinks: what to do with arguments near kinks; None to leave them as they are.
    """

    def __init__(
        self,
        profile: Profile,
        samples: int,
        random: np.random.Generator,
        dtype: DTypeLike = np.float64,
        unit: float = 1.0,
        kinks: Kinks | None = None,
    ) -> None:
        self.profile, self.samples, self._random, self.dtype = profile, samples, random, np.dtype(dtype)
        floor = np.array(profile.floor * _RMS_UNIFORM, self.dtype)
        self.floor = float(floor) if np.square(floor) > 0 else 0.0
        self.unit, self.kinks = unit, kinks
        self._signs_of_bytes = _SIGNS_OF_BYTES.astype(self.dtype)
        self._bits = np.empty(0, np.uint8)
        self._used = 0

    def draw(self, count: int) -> None:
        """Draws random bits for the next signs, unless enough are left. Drawing many at once costs less."""
        if 8 * len(self._bits) - self._used < count:
            drawn = self._random.bytes(max(count, _BITS_AT_ONCE) // 8 + 1)
            self._bits, self._used = np.frombuffer(drawn, np.uint8), 0

    def signs(self, shape: tuple[int, ...]) -> Array:
        """Returns random signs: each element is 1 or −1. The caller may overwrite them."""
        count = math.prod(shape)
        self.draw(count)
        first, skipped = self._used >> 3, self._used & 7
        self._used += count
        signs = self._signs_of_bytes.take(self._bits[first : (self._used + 7) >> 3], axis=0)
        return signs.reshape(-1)[skipped : skipped + count].reshape(shape)


class FirstOrder(Rounded[Sampling]):
    """An array with the statistics of its rounding error, to first order.

    ``error`` (1 + K + 2, …) contains, for each value:

    - the variance of its error, if all rounding errors that reach it were independent;
    - K random errors. They result from a random error at every rounding, so they preserve the correlation of errors
      that reach a value on several paths;
    - two skewed errors: the change of the value if all activations of one kind in ``SKEWED`` are scaled by 1 + k_r u. A
      polynomial that approximates an activation can err with the same sign everywhere, and such errors add up linearly.

    ``weight`` is Q, the sum of the squared terms.

    Errors may be less precise than values: float32 halves the cost of most analyses.
    """

    lead = 1

    @cached_property
    def _squares(self) -> Array:
        """Squared values. Cached, because every time step multiplies by the same weights."""
        return np.square(self.value)

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """Values and squared values in the dtype of the errors. Cached for the same reason."""
        dtype = self.context.dtype
        return self.value.astype(dtype, copy=False), self._squares.astype(dtype, copy=False)

    def _term_weight(self) -> Array:
        return np.square(self.value)

    def _empty_error(self, shape: tuple[int, ...]) -> Array:
        return np.empty((1 + self.context.samples + len(SKEWED), *shape), self.context.dtype)

    def negative(self) -> Self:
        if self.error is None:
            return self.new(-self.value)
        error = -self.error
        error[0] = self.error[0]
        return self.new(-self.value, error)

    def _round_sum(self, terms: int, weight: Array) -> Self:
        p, floor = self.context.profile, self.context.floor
        variance = sum_variance(p, terms, self.value, weight, self.over_time)
        if floor:
            variance += p.n_store * floor**2 * (weight > 0)
        return self.new(self.value, self._copy_error())._add_noise(variance, np.sqrt(variance))

    def rounded(self) -> Self:
        deviation = (self.context.profile.u * _RMS_UNIFORM) * self.value
        if floor := self.context.floor:
            deviation = np.where(np.abs(deviation) < floor, floor * (self.value != 0), deviation)
        return self._add_noise(np.square(deviation), deviation)

    @property
    def half_step(self) -> float:
        u_data = self.context.profile.u_data
        return u_data * _range(self.value) if u_data else 0.0

    def quantize(self, half_step: float) -> Self:
        deviation = (half_step * _RMS_UNIFORM) * (self.value != 0)
        return self.new(self.value, self._copy_error())._add_noise(np.square(deviation), deviation)

    def _add_noise(self, variance: Array, deviation: Array) -> Self:
        """Adds in place a variance (…) and ± a standard deviation (…) as random errors. Returns this array."""
        if self.error is None:
            self.error = self._zero_error(self.shape)
        self.error[0] += variance
        samples, deviation = self.context.samples, deviation.astype(self.context.dtype, copy=False)
        self.context.draw(samples * self.value.size)
        step = max(1, _BLOCK_ELEMENTS // max(1, self.value.size))
        for first in range(0, samples, step):
            noise = self.context.signs((min(step, samples - first), *self.shape))
            noise *= deviation
            self.error[1 + first : 1 + first + len(noise)] += noise
        return self

    def _copy_error(self) -> Array | None:
        return None if self.error is None else self.error.copy()

    def plus(self, other: Self) -> Self:
        """Returns the sum of two arrays: an open sum if one of them is an open sum, else a rounded one."""
        if (self.error is None) != (other.error is None) and self.weight is None and other.weight is None:
            # A rounded sum must not share its errors with a term, because ``rounded`` changes them in place.
            self, other = (self, other) if other.error is None else (other, self)
            self = self.new(self.value, self._copy_error())
        return super().plus(other)

    def times(self, other: Self) -> Self:
        parts = [_scaled(one.error, by.value) for one, by in ((self, other), (other, self)) if one.error is not None]
        if len(parts) == 2:
            parts[0] += parts[1]
        return self.new(self.value * other.value, parts[0] if parts else None)

    def squared(self) -> Self:
        return self.new(np.square(self.value), None if self.error is None else _scaled(self.error, 2 * self.value))

    def matmul(self, other: Self) -> Self:
        value, weight = self.value @ other.value, self._squares @ other._squares
        error: Array | None = None
        if self.error is not None:
            factor, square = other._factors
            if self.value.size < other.value.size and other.error is None:
                # For a step of a few rows, one product with more rows costs less than one product for each error.
                error = (self.error.reshape(-1, self.value.shape[-1]) @ factor).reshape(-1, *value.shape)
            else:
                error = self.error @ factor
            np.matmul(self.error[0], square, out=error[0])
        if other.error is not None:
            factor, square = self._factors
            added = factor @ other.error
            np.matmul(square, other.error[0], out=added[0])
            error = add_errors(error, added)
        return self.new(value, error, weight, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:
        closed, p = self.close_sum()._placed(activation.name, activation.kinks), self.context.profile
        y = activation(closed.value)
        slope = activation.slope(y)
        inexact = _inexact(activation, slope)
        bound = (p.k_r * np.abs(y) + p.k_a) * (p.u * inexact)
        variance = (np.square(p.k_r * y) + p.k_a**2) * (p.u**2 / 3 * inexact)
        number = closed.new(y, closed._zero_error(y.shape) if closed.error is None else _scaled(closed.error, slope))
        if activation.built_on and number.error is not None:
            number.error[1 + self.context.samples + SKEWED.index(activation.built_on)] += p.k_r * p.u * y
        return number._add_noise(variance, bound * _RMS_UNIFORM)

    def clip_with_slope(self, bound: float) -> tuple[Self, Self]:
        placed = self.close_sum()._placed("clip", (-bound, bound))
        return placed.clip(bound), placed.between(-bound, bound)

    def _placed(self, function: str, kinks: tuple[float, ...]) -> Self:
        """Returns these arguments of a piecewise function on the sides of its kinks that ``Sampling.kinks`` chooses."""
        chosen = self.context.kinks
        if chosen is None or self.error is None or not kinks:
            return self
        return self.new(chosen.place(function, self.value, self.reach(), kinks), self.error)

    def reach(self) -> Array:
        """Returns z standard deviations of the error of each value, plus its skewed errors."""
        if self.error is None:
            return np.zeros(self.shape)
        context = self.context
        skewed = np.abs(self.error[1 + context.samples :]).sum(0)
        reach: Array = context.unit * (context.profile.z * np.sqrt(self.error[0]) + skewed)
        return reach


class Ball(Rounded[Profile]):
    """An array with a rigorous bound of its rounding error, for every order of summation, with or without FMA.

    ``error`` is a radius that bounds |error|. ``weight`` is the sum of the largest absolute values of the terms.
    """

    def _term_weight(self) -> Array:
        return np.abs(self.value) if self.error is None else np.abs(self.value) + self.error

    def _round_sum(self, terms: int, weight: Array) -> Self:
        p = self.context
        n_u = terms * p.u_acc
        loss = n_u / (1 - n_u) + 2 * p.u_op + p.u_op**2 + p.n_store * p.u
        if self.over_time:
            loss += terms * p.u_accw
        return self.new(self.value, add_errors(self.error, loss * weight + terms * p.floor))

    def rounded(self) -> Self:
        return self.new(self.value, add_errors(self.error, self.context.u * self._term_weight() + self.context.floor))

    @property
    def half_step(self) -> float:
        if not self.context.u_data:
            return 0.0
        radius = self._radius()
        return self.context.u_data * _range(np.stack((self.value - radius, self.value + radius)))

    def quantize(self, half_step: float) -> Self:
        return self.new(self.value, add_errors(self.error, np.full(self.shape, half_step)))

    def times(self, other: Self) -> Self:
        error: Array | None = None if self.error is None else self.error * other._term_weight()
        if other.error is not None:
            error = add_errors(error, np.abs(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:
        error = None if self.error is None else (2 * np.abs(self.value) + self.error) * self.error
        return self.new(np.square(self.value), error)

    def matmul(self, other: Self) -> Self:
        left, right = self._term_weight(), other._term_weight()
        error: Array | None = None if self.error is None else self.error @ right
        if other.error is not None:
            error = add_errors(error, np.abs(self.value) @ other.error)
        return self.new(self.value @ other.value, error, left @ right, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:
        closed, p = self.close_sum(), self.context
        y = activation(closed.value)
        propagated: Array | float = 0.0
        inexact = _inexact(activation, activation.slope(y))
        if closed.error is not None and activation.max_slope is None:
            # The slope is largest where |z| is smallest.
            nearest = activation(np.maximum(np.abs(closed.value) - closed.error, 0.0))
            propagated = np.minimum(activation.slope(nearest) * closed.error, activation.max_difference)
        elif closed.error is not None and activation.max_slope is not None:
            # A non-decreasing function with equal values at both ends of an interval is constant on the interval.
            varies = activation(closed.value - closed.error) < activation(closed.value + closed.error)
            largest = np.minimum(activation.max_slope * closed.error, activation.max_difference)
            propagated = np.where(varies, largest, 0.0)
            # With an exact argument, too, f is evaluated where its slope is not 0.
            inexact = np.maximum(inexact, varies)
        return self.new(y, propagated + inexact * (p.u * (p.k_r * (np.abs(y) + propagated) + p.k_a) + p.floor))

    def between(self, low: float, high: float) -> Self:
        closed = self.close_sum()
        radius = closed._radius()
        uncertain = (np.abs(closed.value - low) < radius) | (np.abs(closed.value - high) < radius)
        inside = (closed.value > low) & (closed.value < high)
        return closed.new(inside.astype(np.float64), uncertain.astype(np.float64))

    def clip(self, bound: float) -> Self:
        closed = self.close_sum()
        value: Array = np.clip(closed.value, -bound, bound)
        radius: Array = np.where(np.abs(closed.value) - closed._radius() > bound, 0.0, closed._radius())
        return closed.new(value, radius)

    def _radius(self) -> Array:
        return np.zeros(self.value.shape) if self.error is None else np.broadcast_to(self.error, self.value.shape)


def _scaled(error: Array, factor: Array) -> Array:
    """Returns the errors of an array times an exact factor."""
    factor = factor.astype(error.dtype, copy=False)
    scaled: Array = error * factor
    scaled[0] *= factor
    return scaled


def _range(values: Array) -> float:
    """Returns the difference between the largest and the smallest of some values and 0."""
    return float(values.max(initial=0.0) - values.min(initial=0.0))


def _inexact(activation: Activation, slope: Array) -> Array | float:
    """Returns 1 where an activation has a rounding error, and 0 where a piecewise activation is constant."""
    return 1.0 if activation.max_slope is None else (slope != 0.0) * 1.0


def sum_variance(profile: Profile, terms: int, total: Array, squares: Array, over_time: bool) -> Array:
    """Returns the variance of the rounding error of a sum.

        u_acc²/3 · [n (S²/3 + Q/6) + Q]  +  2 u_op² · Q/3  +  n_store · u²/3 · (S² + Q)

    The partial sums form a random walk that ends at S; the sum of their squares is n (S²/3 + Q/6). Each partial sum and
    each product is rounded once. The other terms are the rounding of the operands and of the stored result.

    Args:
        profile: rounding constants.
        terms: number of terms, n.
        total: sum, S.
        squares: sum of the squared terms, Q.
        over_time: whether the sum runs over time; then u_accw² is added to u_acc².
    """
    accumulation = profile.u_acc**2 + (profile.u_accw**2 if over_time else 0.0)
    stored = profile.n_store * profile.u**2
    by_total = accumulation * terms / 9 + stored / 3
    by_squares = accumulation * (terms / 18 + 1 / 3) + 2 * profile.u_op**2 / 3 + stored / 3
    variance: Array = by_total * np.square(total) + by_squares * squares
    return variance
