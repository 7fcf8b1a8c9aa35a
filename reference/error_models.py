"""Four models of rounding error, as arrays on which the reference runs.

    Spread      value and variance: independent rounding errors, to first order
    Ball        value and radius: rigorous bound for every order of summation, with or without FMA
    Perturbed   K samples, each with random errors of the assumed size at every rounding
    Skewed      activations of one kind scaled by 1 + k_r u

Sources: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), ch. 3–4, for the bounds;
N. J. Higham and T. Mary, A New Approach to Probabilistic Rounding Error Analysis (2019), for the variance of a sum.
"""

# ruff: noqa: D102 - ``Rounded`` documents the methods that these classes override.

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from reference.activations import Activation
from reference.arithmetic import Array, Rounded, add_errors
from reference.profile import Profile


class Spread(Rounded):
    """An array with the variance of its rounding error, for independent errors, to first order.

    ``error`` is the variance of the error. ``weight`` is Q, the sum of the squared terms.
    """

    def _term_weight(self) -> Array:
        return np.square(self.value)

    def _round_sum(self, terms: int, weight: Array) -> Self:
        variance = sum_variance(self.profile, terms, self.value, weight, self.over_time)
        return self.new(self.value, add_errors(self.error, variance))

    def rounded(self) -> Self:
        return self.new(self.value, add_errors(self.error, np.square(self.profile.u * self.value) / 3))

    def times(self, other: Self) -> Self:
        error = None if self.error is None else self.error * np.square(other.value)
        if other.error is not None:
            error = add_errors(error, np.square(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:
        return self.new(np.square(self.value), None if self.error is None else 4 * np.square(self.value) * self.error)

    def matmul(self, other: Self) -> Self:
        left, right = np.square(self.value), np.square(other.value)
        error = None if self.error is None else self.error @ right
        if other.error is not None:
            error = add_errors(error, left @ other.error)
        return self.new(self.value @ other.value, error, left @ right, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:
        closed, profile = self.close_sum(), self.profile
        y = activation(closed.value)
        slope = activation.slope(y)
        variance = profile.u**2 / 3 * (np.square(profile.k_r * y) + profile.k_a**2) * _inexact(activation, slope)
        return self.new(y, variance if closed.error is None else variance + np.square(slope) * closed.error)


class Ball(Rounded):
    """An array with a rigorous bound of its rounding error, for every order of summation, with or without FMA.

    ``error`` is a radius that bounds |error|. ``weight`` is the sum of the largest absolute values of the terms.
    """

    def _term_weight(self) -> Array:
        return np.abs(self.value) if self.error is None else np.abs(self.value) + self.error

    def _round_sum(self, terms: int, weight: Array) -> Self:
        p = self.profile
        n_u = terms * p.u_acc
        loss = n_u / (1 - n_u) + 2 * p.u_op + p.u_op**2 + p.n_store * p.u
        if self.over_time:
            loss += terms * p.u_accw
        return self.new(self.value, add_errors(self.error, loss * weight + terms * p.floor))

    def rounded(self) -> Self:
        return self.new(self.value, add_errors(self.error, self.profile.u * self._term_weight() + self.profile.floor))

    def times(self, other: Self) -> Self:
        error = None if self.error is None else self.error * other._term_weight()
        if other.error is not None:
            error = add_errors(error, np.abs(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:
        error = None if self.error is None else (2 * np.abs(self.value) + self.error) * self.error
        return self.new(np.square(self.value), error)

    def matmul(self, other: Self) -> Self:
        left, right = self._term_weight(), other._term_weight()
        error = None if self.error is None else self.error @ right
        if other.error is not None:
            error = add_errors(error, np.abs(self.value) @ other.error)
        return self.new(self.value @ other.value, error, left @ right, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:
        closed, p = self.close_sum(), self.profile
        y = activation(closed.value)
        propagated: Array | float = 0.0
        inexact = _inexact(activation, activation.slope(y))
        if closed.error is not None and activation.max_slope is None:
            # The slope is largest where |z| is smallest.
            nearest = activation(np.maximum(np.abs(closed.value) - closed.error, 0.0))
            propagated = np.minimum(activation.slope(nearest) * closed.error, activation.max_difference)
        elif closed.error is not None and activation.max_slope is not None:
            # A non-decreasing function with equal values at both ends of an interval is constant on the interval.
            inexact = activation(closed.value - closed.error) < activation(closed.value + closed.error)
            largest = np.minimum(activation.max_slope * closed.error, activation.max_difference)
            propagated = np.where(inexact, largest, 0.0)
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


class Perturbed(Rounded):
    """An array of K samples, each with a random error at every rounding.

    Unlike variances, samples preserve the correlation of errors that reach a result on several paths. ``error`` is
    always None: ``value`` (K, …) includes the errors. ``weight`` is Q, as in ``Spread``.

    Attributes:
        random: generator of the errors, shared by all arrays of a run.
        samples: number of samples, K.
    """

    lead = 1
    random: np.random.Generator
    samples: int

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """Returns an array that uses the same generator."""
        number = super().new(value, error, weight, terms)
        number.random, number.samples = self.random, self.samples
        return number

    @classmethod
    def make_lift(cls, profile: Profile, samples: int, random: np.random.Generator) -> Callable[[Any], Self]:
        """Returns a function that converts exact arrays to arrays with ``samples`` samples."""
        first = cls(profile, np.zeros((1, 1)))
        first.random, first.samples = random, samples
        return first.exact

    def _term_weight(self) -> Array:
        return np.square(self.value)

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty((self.samples, *shape)))

    def _samples_shape(self) -> tuple[int, ...]:
        return (self.samples, *self.shape)

    def _uniform(self, bound: float | Array) -> Array:
        """Returns random errors (K, …), uniform in ±bound."""
        unit: Array = 2.0 * self.random.random(self._samples_shape(), dtype=np.float32).astype(np.float64) - 1.0
        return bound * unit

    def _round_sum(self, terms: int, weight: Array) -> Self:
        sigma = np.sqrt(sum_variance(self.profile, terms, self.value, weight, self.over_time))
        return self.new(self.value + sigma * self.random.standard_normal(self._samples_shape(), dtype=np.float32))

    def rounded(self) -> Self:
        return self.new(self.value + self._uniform(self.profile.u * self.value))

    def times(self, other: Self) -> Self:
        return self.new(self.value * other.value)

    def squared(self) -> Self:
        return self.new(np.square(self.value))

    def matmul(self, other: Self) -> Self:
        weight = np.square(self.value) @ np.square(other.value)
        return self.new(self.value @ other.value, None, weight, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:
        closed, p = self.close_sum(), self.profile
        y = activation(closed.value)
        bound = p.u * (p.k_r * np.abs(y) + p.k_a) * _inexact(activation, activation.slope(y))
        number = closed.new(y)
        return number.new(y + number._uniform(bound))


class Skewed(Rounded):
    """An array on which activations of one kind are scaled by 1 + k_r u. All other operations are exact.

    A polynomial that approximates an activation can err with the same sign everywhere. Such errors add up linearly.

    Attributes:
        kind: ``Activation.built_on`` of the activations to scale, ``sigmoid`` or ``tanh``.
    """

    kind: str

    @classmethod
    def make_lift(cls, profile: Profile, kind: str) -> Callable[[Any], Self]:
        """Returns a function that converts exact arrays to arrays that scale activations of this kind."""
        first = cls(profile, np.zeros(1))
        first.kind = kind
        return first.exact

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """Returns an array that scales the same kind of activations."""
        number = super().new(value, error, weight, terms)
        number.kind = self.kind
        return number

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape))

    def _term_weight(self) -> Array:
        return self.value

    def _round_sum(self, terms: int, weight: Array) -> Self:  # noqa: ARG002
        return self.new(self.value)

    def rounded(self) -> Self:
        return self

    def times(self, other: Self) -> Self:
        return self.new(self.value * other.value)

    def squared(self) -> Self:
        return self.new(np.square(self.value))

    def matmul(self, other: Self) -> Self:
        return self.new(self.value @ other.value)

    def activate(self, activation: Activation) -> Self:
        skew = 1 + self.profile.k_r * self.profile.u if activation.built_on == self.kind else 1.0
        return self.new(activation(self.value) * skew)


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
    walk = terms * (np.square(total) / 3 + squares / 6) + squares
    accumulation = profile.u_acc**2 + (profile.u_accw**2 if over_time else 0.0)
    stored = np.square(total) + squares
    return accumulation / 3 * walk + 2 * profile.u_op**2 / 3 * squares + profile.n_store * profile.u**2 / 3 * stored
