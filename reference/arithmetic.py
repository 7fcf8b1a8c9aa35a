"""Arrays that carry what rounding does to them, so that the reference itself, run on them, yields its error analysis.

Each class overrides NumPy's operations (NEP 13 and NEP 18) with one model of rounding:

    Spread      value and variance: independent rounding errors, to first order
    Ball        value and radius: a rigorous bound for any order of summation, with or without FMA
    Perturbed   K samples, each with random errors of the assumed size at every rounding
    Skewed      all activations of one kind off by the same sign, everywhere

A sum, and a matrix product is one, stays *open* until something else than a sum uses it: implementations add the terms
of W_ih x + b_ih + W_hh h + b_hh in whatever order they like, so it is one sum of all its terms.

Sources: Higham, Accuracy and Stability of Numerical Algorithms (2002), ch. 3–4, for the bounds; Higham & Mary,
A New Approach to Probabilistic Rounding Error Analysis (2019), for the variance of a sum.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from reference.activations import Activation
from reference.profile import Profile

Array = NDArray[np.float64]


def over_time(total: Any) -> Any:
    """Marks a sum over all time steps, which some implementations accumulate in storage precision."""
    if isinstance(total, Rounded):
        total.over_time = True
    return total


def reused(array: Any) -> Any:
    """Room of the same shape for other numbers: the array's own, unless errors of its elements are still to come."""
    return np.empty_like(array, shape=array.shape) if isinstance(array, Rounded) else array


class Rounded(NDArrayOperatorsMixin):
    """What the four share: structure (indexing, stacking, masks) and which rule an operation goes to.

    Attributes:
        value: the float64 value, (…) or (K, …) when ``lead`` is 1.
        error: what the class says of its error, shaped like the value; None when it is exact.
        weight: of an open sum, what its terms add up to in size (the class says how); None when it is settled.
        terms: how many terms an open sum has.
    """

    lead = 0
    """Axes in front of the array's own."""

    def __init__(
        self, profile: Profile, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0
    ) -> None:
        self.profile, self.value, self.error, self.weight, self.terms = profile, value, error, weight, terms
        self.over_time = False

    # What each class defines.

    def size(self) -> Array:
        """A single term's contribution to an open sum's weight."""
        raise NotImplementedError

    def closed(self, terms: int, weight: Array) -> Self:
        """This sum, rounded."""
        raise NotImplementedError

    def rounded(self) -> Self:
        """This elementwise result, rounded once."""
        raise NotImplementedError

    def times(self, other: Self) -> Self:
        """The product, unrounded."""
        raise NotImplementedError

    def matmul(self, other: Self) -> Self:
        """The matrix product as an open sum."""
        raise NotImplementedError

    def squared(self) -> Self:
        """The square, unrounded."""
        raise NotImplementedError

    def activate(self, activation: Activation) -> Self:
        """The activation's value, with its own error."""
        raise NotImplementedError

    # What they share.

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """A number of the same kind."""
        return type(self)(self.profile, value, error, weight, terms)

    def exact(self, array: Any) -> Self:
        """An array without error."""
        if isinstance(array, type(self)):
            return array
        return self.new(np.asarray(array, np.float64)[(None,) * self.lead])

    def settled(self) -> Self:
        """This number with its sum closed."""
        return self if self.weight is None else self.closed(self.terms, self.weight)

    def plus(self, other: Self) -> Self:
        """The sum: open if one of the two is, with the other as its last term; else rounded."""
        value, error = self.value + other.value, _add(self.error, other.error)
        error = None if error is None else np.broadcast_to(error, value.shape)
        if self.weight is None and other.weight is None:
            return self.new(value, error).rounded()
        weights = [each.size() if each.weight is None else each.weight for each in (self, other)]
        return self.new(value, error, weights[0] + weights[1], max(self.terms, 1) + max(other.terms, 1))

    def sum(self, axis: int) -> Self:
        """The open sum over an axis."""
        own = self.settled()
        axis, error = axis + self.lead, own.error
        size = np.broadcast_to(own.size(), own.value.shape)
        error = None if error is None else error.sum(axis)
        return self.new(own.value.sum(axis), error, size.sum(axis), own.value.shape[axis])

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's own shape."""
        return self.value.shape[self.lead :]

    @property
    def T(self) -> Self:  # noqa: N802 - NumPy's name
        """The matrix, transposed."""
        return self.swapaxes(-2, -1)

    def swapaxes(self, first: int, second: int) -> Self:
        """Two axes exchanged."""
        first, second = (axis + self.lead if axis >= 0 else axis for axis in (first, second))
        return self._each(lambda part: part.swapaxes(first, second))

    def reshape(self, *shape: int) -> Self:
        """The same elements in another shape."""
        return self._each(lambda part: part.reshape(*part.shape[: self.lead], *shape))

    def __getitem__(self, index: Any) -> Self:
        index = index if isinstance(index, tuple) else (index,)
        return self._each(lambda part: part[(slice(None),) * self.lead + index])

    def __setitem__(self, index: Any, number: Any) -> None:
        number = self.exact(number).settled()
        index = (slice(None),) * self.lead + (index if isinstance(index, tuple) else (index,))
        self.value[index] = number.value
        if self.error is not None:
            self.error[index] = 0.0 if number.error is None else number.error

    def _empty(self, shape: tuple[int, ...]) -> Self:
        """Room for numbers to come."""
        return self.new(np.empty(shape), np.empty(shape))

    def _each(self, change: Callable[[Array], Array]) -> Self:
        parts = (None if part is None else change(part) for part in (self.value, self.error, self.weight))
        return self.new(*parts, terms=self.terms)  # type: ignore[arg-type]

    def _join(self, change: Callable[[Sequence[Array]], Array], numbers: Sequence[Self]) -> Self:
        """Several numbers made one, by the same operation on their values and on their errors."""
        numbers = [number.settled() for number in numbers]
        value = change(self._alike([number.value for number in numbers]))
        if all(number.error is None for number in numbers):
            return self.new(value)
        errors = [np.zeros(n.value.shape) if n.error is None else n.error for n in numbers]
        return self.new(value, change(self._alike(errors)))

    def _alike(self, arrays: list[Array]) -> list[Array]:
        """Arrays with the same leading axes."""
        if not self.lead:
            return arrays
        samples = max(array.shape[0] for array in arrays)
        return [np.broadcast_to(array, (samples, *array.shape[1:])) if array.ndim > 1 else array for array in arrays]

    def __iadd__(self, other: Any) -> Self:  # type: ignore[override, misc]
        return self + other  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        numbers = [self.exact(operand) for operand in operands]
        if self.lead and ufunc is not np.matmul:
            most = max(len(number.shape) for number in numbers)
            numbers = [number.reshape(*(1,) * (most - len(number.shape)), *number.shape) for number in numbers]
        if ufunc is np.add:
            return numbers[0].plus(numbers[1])
        settled = [number.settled() for number in numbers]
        if ufunc is np.subtract:
            return settled[0].plus(settled[1].new(-settled[1].value, settled[1].error))
        if ufunc is np.multiply:
            return settled[0].times(settled[1]).rounded()
        if ufunc is np.square:
            return settled[0].squared().rounded()
        if ufunc is np.matmul:
            return settled[0].matmul(settled[1])
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.concatenate:
            axis = options["axis"] + (self.lead if options["axis"] >= 0 else 0)
            return self._join(lambda parts: np.concatenate(parts, axis=axis), [self.exact(part) for part in args[0]])
        if function is np.empty_like:
            return self._empty(options["shape"])
        if function is np.where:
            mask, chosen, other = args
            return self._join(lambda parts: np.where(mask, *parts), [self.exact(chosen), self.exact(other)])
        return NotImplemented


def _add(first: Array | None, second: Array | None) -> Array | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second


class Spread(Rounded):
    """``error`` is a variance; ``weight`` the sum of the squares of the terms, Q."""

    def size(self) -> Array:  # noqa: D102
        return np.square(self.value)

    def closed(self, terms: int, weight: Array) -> Self:  # noqa: D102
        variance = sum_variance(self.profile, terms, self.value, weight, self.over_time)
        return self.new(self.value, _add(self.error, variance))

    def rounded(self) -> Self:  # noqa: D102
        return self.new(self.value, _add(self.error, np.square(self.profile.u * self.value) / 3))

    def times(self, other: Self) -> Self:  # noqa: D102
        error = None if self.error is None else self.error * np.square(other.value)
        if other.error is not None:
            error = _add(error, np.square(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:  # noqa: D102
        return self.new(np.square(self.value), None if self.error is None else 4 * np.square(self.value) * self.error)

    def matmul(self, other: Self) -> Self:  # noqa: D102
        mine, others = np.square(self.value), np.square(other.value)
        error = None if self.error is None else self.error @ others
        if other.error is not None:
            error = _add(error, mine @ other.error)
        return self.new(self.value @ other.value, error, mine @ others, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:  # noqa: D102
        own, profile = self.settled(), self.profile
        y = activation(own.value)
        variance = profile.u**2 / 3 * (np.square(profile.k_r * y) + profile.k_a**2)
        return self.new(y, variance if own.error is None else variance + np.square(activation.slope(y)) * own.error)


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
        return self.new(self.value, _add(self.error, loss * weight + terms * p.floor))

    def rounded(self) -> Self:  # noqa: D102
        return self.new(self.value, _add(self.error, self.profile.u * self.size() + self.profile.floor))

    def times(self, other: Self) -> Self:  # noqa: D102
        error = None if self.error is None else self.error * other.size()
        if other.error is not None:
            error = _add(error, np.abs(self.value) * other.error)
        return self.new(self.value * other.value, error)

    def squared(self) -> Self:  # noqa: D102
        error = None if self.error is None else (2 * np.abs(self.value) + self.error) * self.error
        return self.new(np.square(self.value), error)

    def matmul(self, other: Self) -> Self:  # noqa: D102
        mine, others = self.size(), other.size()
        error = None if self.error is None else self.error @ others
        if other.error is not None:
            error = _add(error, np.abs(self.value) @ other.error)
        return self.new(self.value @ other.value, error, mine @ others, self.value.shape[-1])

    def activate(self, activation: Activation) -> Self:  # noqa: D102
        own, p = self.settled(), self.profile
        y = activation(own.value)
        reached: Array | float = 0.0
        if own.error is not None:
            # The slope is largest where |z| is smallest.
            nearest = activation(np.maximum(np.abs(own.value) - own.error, 0.0))
            reached = np.minimum(activation.slope(nearest) * own.error, 2.0)
        return self.new(y, reached + p.u * (p.k_r * (np.abs(y) + reached) + p.k_a) + p.floor)


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
        return bound * (2 * self.random.random(self._drawn(), dtype=np.float32) - 1)

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
        return own.new(y).with_error(p.u * (p.k_r * np.abs(y) + p.k_a))

    def with_error(self, bound: Array) -> Self:
        """This number with an error drawn uniformly within a bound."""
        return self.new(self.value + self._uniform(bound))


class Skewed(Rounded):
    """No rounding but in the activations of one kind: a polynomial for them errs with one sign, and that adds up."""

    kind: str

    @classmethod
    def source(cls, profile: Profile, kind: str) -> Callable[[Any], Self]:
        """Makes exact numbers for which the activation of this name is (1 + k_r u) times too large."""
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
        skew = 1 + self.profile.k_r * self.profile.u if activation.name == self.kind else 1.0
        return self.new(activation(self.value) * skew)


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
