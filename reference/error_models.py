"""Four models of rounding for the reference to run on.

    Spread      value and variance: independent rounding errors, to first order
    Ball        value and radius: a rigorous bound for any order of summation, with or without FMA
    Perturbed   K samples, each with random errors of the assumed size at every rounding
    Skewed      all activations of one kind off by the same sign, everywhere

Sources: Higham, Accuracy and Stability of Numerical Algorithms (2002), ch. 3–4, for the bounds; Higham & Mary,
A New Approach to Probabilistic Rounding Error Analysis (2019), for the variance of a sum.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from reference.activations import Activation
from reference.arithmetic import Array, Rounded, add
from reference.profile import Profile


class Spread(Rounded):
    """``error`` is a variance; ``weight`` the sum of the squares of the terms, Q."""

    def size(self) -> Array:  # noqa: D102
        return np.square(self.value)

    def closed(self, terms: int, weight: Array) -> Self:  # noqa: D102
        variance = sum_variance(self.profile, terms, self.value, weight, self.over_time)
        return self.new(self.value, add(self.error, variance))

    def rounded(self) -> Self:  # noqa: D102
        return self.new(self.value, add(self.error, np.square(self.profile.u * self.value) / 3))

    def times(self, other: Self) -> Self:  # noqa: D102
        error = None if self.error is None else self.error * np.square(other.value)
        if other.error is not None:
            error = add(error, np.square(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:  # noqa: D102
        return self.new(np.square(self.value), None if self.error is None else 4 * np.square(self.value) * self.error)

    def matmul(self, other: Self) -> Self:  # noqa: D102
        mine, others = np.square(self.value), np.square(other.value)
        error = None if self.error is None else self.error @ others
        if other.error is not None:
            error = add(error, mine @ other.error)
        return self.new(self.value @ other.value, error, mine @ others, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:  # noqa: D102
        own, profile = self.settled(), self.profile
        y = activation(own.value)
        slope = activation.slope(y)
        variance = profile.u**2 / 3 * (np.square(profile.k_r * y) + profile.k_a**2) * _inexact(activation, slope)
        return self.new(y, variance if own.error is None else variance + np.square(slope) * own.error)


class Ball(Rounded):
    """``error`` is a radius that bounds it; ``weight`` the sum of the largest moduli that the terms can have."""

    def size(self) -> Array:  # noqa: D102
        return np.abs(self.value) if self.error is None else np.abs(self.value) + self.error

    def closed(self, terms: int, weight: Array) -> Self:  # noqa: D102
        p = self.profile
        n_u = terms * p.u_acc
        loss = n_u / (1 - n_u) + 2 * p.u_op + p.u_op**2 + p.n_store * p.u
        if self.over_time:
            loss += terms * p.u_accw
        return self.new(self.value, add(self.error, loss * weight + terms * p.floor))

    def rounded(self) -> Self:  # noqa: D102
        return self.new(self.value, add(self.error, self.profile.u * self.size() + self.profile.floor))

    def times(self, other: Self) -> Self:  # noqa: D102
        error = None if self.error is None else self.error * other.size()
        if other.error is not None:
            error = add(error, np.abs(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:  # noqa: D102
        error = None if self.error is None else (2 * np.abs(self.value) + self.error) * self.error
        return self.new(np.square(self.value), error)

    def matmul(self, other: Self) -> Self:  # noqa: D102
        mine, others = self.size(), other.size()
        error = None if self.error is None else self.error @ others
        if other.error is not None:
            error = add(error, np.abs(self.value) @ other.error)
        return self.new(self.value @ other.value, error, mine @ others, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:  # noqa: D102
        own, p = self.settled(), self.profile
        y = activation(own.value)
        reached: Array | float = 0.0
        inexact = _inexact(activation, activation.slope(y))
        if own.error is not None and activation.steepest is None:
            # The slope is largest where |z| is smallest.
            nearest = activation(np.maximum(np.abs(own.value) - own.error, 0.0))
            reached = np.minimum(activation.slope(nearest) * own.error, activation.reach)
        elif own.error is not None and activation.steepest is not None:
            # It never falls: where its ends are the same, it is constant between them.
            inexact = activation(own.value - own.error) < activation(own.value + own.error)
            reached = np.where(inexact, np.minimum(activation.steepest * own.error, activation.reach), 0.0)
        return self.new(y, reached + inexact * (p.u * (p.k_r * (np.abs(y) + reached) + p.k_a) + p.floor))

    def between(self, low: float, high: float) -> Self:  # noqa: D102
        own = self.settled()
        radius = own._radius()
        unsure = (np.abs(own.value - low) < radius) | (np.abs(own.value - high) < radius)
        inside = (own.value > low) & (own.value < high)
        return own.new(inside.astype(np.float64), unsure.astype(np.float64))

    def held(self, bound: float) -> Self:  # noqa: D102
        own = self.settled()
        value: Array = np.clip(own.value, -bound, bound)
        radius: Array = np.where(np.abs(own.value) - own._radius() > bound, 0.0, own._radius())
        return own.new(value, radius)

    def _radius(self) -> Array:
        return np.zeros(self.value.shape) if self.error is None else np.broadcast_to(self.error, self.value.shape)


class Perturbed(Rounded):
    """K samples in front, each with errors drawn at every rounding; ``weight`` is Q as in ``Spread``.

    Unlike variances, samples keep the correlations between errors that meet again.
    """

    lead = 1
    random: np.random.Generator
    samples: int

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """A number that draws from the same generator."""
        number = super().new(value, error, weight, terms)
        number.random, number.samples = self.random, self.samples
        return number

    @classmethod
    def source(cls, profile: Profile, samples: int, random: np.random.Generator) -> Callable[[Any], Self]:
        """Makes exact numbers that draw from one generator."""
        first = cls(profile, np.zeros((1, 1)))
        first.random, first.samples = random, samples
        return first.exact

    def size(self) -> Array:  # noqa: D102
        return np.square(self.value)

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty((self.samples, *shape)))

    def _drawn(self) -> tuple[int, ...]:
        return (self.samples, *self.shape)

    def _uniform(self, bound: float | Array) -> Array:
        drawn: Array = 2.0 * self.random.random(self._drawn(), dtype=np.float32).astype(np.float64) - 1.0
        return bound * drawn

    def closed(self, terms: int, weight: Array) -> Self:  # noqa: D102
        sigma = np.sqrt(sum_variance(self.profile, terms, self.value, weight, self.over_time))
        return self.new(self.value + sigma * self.random.standard_normal(self._drawn(), dtype=np.float32))

    def rounded(self) -> Self:  # noqa: D102
        return self.new(self.value + self._uniform(self.profile.u * self.value))

    def times(self, other: Self) -> Self:  # noqa: D102
        return self.new(self.value * other.value)

    def squared(self) -> Self:  # noqa: D102
        return self.new(np.square(self.value))

    def matmul(self, other: Self) -> Self:  # noqa: D102
        weight = np.square(self.value) @ np.square(other.value)
        return self.new(self.value @ other.value, None, weight, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:  # noqa: D102
        own, p = self.settled(), self.profile
        y = activation(own.value)
        return own.new(y).with_error(p.u * (p.k_r * np.abs(y) + p.k_a) * _inexact(activation, activation.slope(y)))

    def with_error(self, bound: Array) -> Self:
        """This number with an error drawn uniformly within a bound."""
        return self.new(self.value + self._uniform(bound))


class Skewed(Rounded):
    """No rounding but in the activations of one kind: a polynomial for them errs with one sign, and that adds up."""

    kind: str

    @classmethod
    def source(cls, profile: Profile, kind: str) -> Callable[[Any], Self]:
        """Makes exact numbers for which activations built on this one are (1 + k_r u) times too large."""
        first = cls(profile, np.zeros(1))
        first.kind = kind
        return first.exact

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """A number with the same skew."""
        number = super().new(value, error, weight, terms)
        number.kind = self.kind
        return number

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape))

    def size(self) -> Array:  # noqa: D102
        return self.value

    def closed(self, terms: int, weight: Array) -> Self:  # noqa: ARG002, D102
        return self.new(self.value)

    def rounded(self) -> Self:  # noqa: D102
        return self

    def times(self, other: Self) -> Self:  # noqa: D102
        return self.new(self.value * other.value)

    def squared(self) -> Self:  # noqa: D102
        return self.new(np.square(self.value))

    def matmul(self, other: Self) -> Self:  # noqa: D102
        return self.new(self.value @ other.value)

    def activate(self, activation: Activation) -> Self:  # noqa: D102
        skew = 1 + self.profile.k_r * self.profile.u if activation.built_on == self.kind else 1.0
        return self.new(activation(self.value) * skew)


def _inexact(activation: Activation, slope: Array) -> Array | float:
    """0 where an activation made of pieces is constant, else 1."""
    return 1.0 if activation.steepest is None else (slope != 0.0) * 1.0


def sum_variance(profile: Profile, terms: int, total: Array, squares: Array, over_time: bool) -> Array:
    """Variance of a computed sum's error.

        u_acc²/3 · [n (S²/3 + Q/6) + Q]  +  2 u_op² · Q/3  +  n_store · u²/3 · (S² + Q)

    Partial sums grow like a random walk towards S, each rounded once: the sum of their squares is n (S²/3 + Q/6).

    Args:
        profile: how the implementation rounds.
        terms: n.
        total: S, the sum.
        squares: Q, the sum of the squared terms.
        over_time: whether it runs over time, where some accumulate in storage precision.
    """
    walk = terms * (np.square(total) / 3 + squares / 6) + squares
    accumulation = profile.u_acc**2 + (profile.u_accw**2 if over_time else 0.0)
    stored = np.square(total) + squares
    return accumulation / 3 * walk + 2 * profile.u_op**2 / 3 * squares + profile.n_store * profile.u**2 / 3 * stored
