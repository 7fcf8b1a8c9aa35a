"""Arrays that carry what rounding does to them, so that the reference itself, run on them, yields its error analysis.

They override NumPy's operations (NEP 13 and NEP 18); the models of rounding are in ``reference.error_models``.

A sum, and a matrix product is one, stays *open* until something else than a sum uses it: implementations add the terms
of W_ih x + b_ih + W_hh h + b_hh in whatever order they like, so it is one sum of all its terms.
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


def held(array: Any, bound: float) -> tuple[Any, Any]:
    """An array held within ±bound, and its derivative: 1 where it was free, else 0."""
    if isinstance(array, Rounded):
        return array.held(bound), array.between(-bound, bound)
    free = np.abs(array.real) < bound
    return np.where(free, array, np.copysign(bound, array.real)), free * 1.0


def reused(array: Any) -> Any:
    """Room of the same shape for other numbers: the array's own, unless errors of its elements are still to come."""
    return np.empty_like(array, shape=array.shape) if isinstance(array, Rounded) else array


class Rounded(NDArrayOperatorsMixin):
    """What all models share: structure (indexing, stacking, masks) and which rule an operation goes to.

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

    def between(self, low: float, high: float) -> Self:
        """1 where it lies between two bounds, else 0."""
        own = self.settled()
        return own.new(((own.value > low) & (own.value < high)).astype(np.float64))

    def held(self, bound: float) -> Self:
        """This number held within ±bound."""
        own = self.settled()
        error = None if own.error is None else np.where(np.abs(own.value) > bound, 0.0, own.error)
        value: Array = np.clip(own.value, -bound, bound)
        return own.new(value, error)

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
        value, error = self.value + other.value, add(self.error, other.error)
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
        error, weight = (None if part is None else change(part) for part in (self.error, self.weight))
        return self.new(change(self.value), error, weight, self.terms)

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

    def __iadd__(self, other: Any) -> Self:
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


def add(first: Array | None, second: Array | None) -> Array | None:
    """The sum of two errors, either of which may be none."""
    if first is None or second is None:
        return second if first is None else first
    return first + second
